/**
 * How many cores and GPUs are free on which nodes, and where a request would be placed. Which ones they are is not known
 * here, so that a forecast can work on a copy.
 */

import type { ConstrainedNode } from '../../core/formats/constraint.ts';
import { type FitOrder, FreeIndex, slotsIn } from './free-index.ts';
import { type Constraint, perNode, type ResourceRequest } from './resource-request.ts';

/** What a node is, whether free or not. */
export interface NodeSize extends ConstrainedNode {
  readonly cores: number;
  readonly gpus: number;
}

/** Where a request is placed. */
export interface Placement {
  /** Numbers of nodes, in the order in which they were chosen. */
  readonly nodes: readonly number[];
  /** Cores and GPUs on each of them. */
  readonly cores: readonly number[];
  readonly gpus: readonly number[];
  readonly slots: number;
}

/** Nodes with the same cores and GPUs. */
interface Kind {
  readonly cores: number;
  readonly gpus: number;
  count: number;
}

/** The nodes that pass a constraint. */
interface View {
  readonly members: Uint8Array;
  readonly free: FreeIndex;
  /** Those of them that nobody has anything of. */
  readonly idle: FreeIndex;
  /** All of them, up or not. */
  readonly kinds: Kind[];
}

/** Constraints whose nodes are kept at hand; the one that was not used for longest goes. */
const VIEWS_MAX = 32;

/** How much of a request is met: nodes where it asks for nodes, slots where it does not. */
export interface Measure {
  readonly count: number;
  readonly needed: number;
}

export class FreeNodes {
  readonly sizes: readonly NodeSize[];
  readonly order: FitOrder;
  readonly freeCores: Int32Array;
  readonly freeGpus: Int32Array;
  readonly #up: Uint8Array;
  readonly #gone: Uint8Array;
  readonly #all: View;
  /** Of constraints, the one used last at the end. */
  readonly #views = new Map<string, View>();
  readonly #maxCores: number;
  readonly #maxGpus: number;

  /** All nodes free and down; or those of another one as they are. */
  constructor(sizes: readonly NodeSize[], order: FitOrder, other?: FreeNodes) {
    this.sizes = sizes;
    this.order = order;
    this.freeCores = other ? other.freeCores.slice() : Int32Array.from(sizes, ({ cores }) => cores);
    this.freeGpus = other ? other.freeGpus.slice() : Int32Array.from(sizes, ({ gpus }) => gpus);
    this.#up = other ? other.#up.slice() : new Uint8Array(sizes.length);
    this.#gone = other ? other.#gone.slice() : new Uint8Array(sizes.length);
    this.#maxCores = sizes.reduce((max, { cores }) => Math.max(max, cores), 0);
    this.#maxGpus = sizes.reduce((max, { gpus }) => Math.max(max, gpus), 0);
    this.#all = this.#makeView(() => true);
  }

  copy(): FreeNodes {
    return new FreeNodes(this.sizes, this.order, this);
  }

  // ---- nodes

  isUp(node: number): boolean {
    return this.#up[node] === 1;
  }

  isGone(node: number): boolean {
    return this.#gone[node] === 1;
  }

  setUp(node: number, isUp: boolean): void {
    if (this.isGone(node) || this.isUp(node) === isUp) return;
    this.#up[node] = Number(isUp);
    this.#changed(node);
  }

  /** Takes a node out for good. */
  remove(node: number): void {
    if (this.isGone(node)) return;
    this.setUp(node, false);
    this.#gone[node] = 1;
    for (const { members, kinds } of [this.#all, ...this.#views.values()]) {
      if (!members[node]) continue;
      members[node] = 0;
      kindOf(kinds, this.sizes[node]!).count--;
    }
  }

  /** Something that constraints look at is different on some nodes. */
  forgetViews(): void {
    this.#views.clear();
  }

  /** Adds to what is free on a node; negative numbers take away. */
  add(node: number, cores: number, gpus: number): void {
    this.freeCores[node]! += cores;
    this.freeGpus[node]! += gpus;
    this.#changed(node);
  }

  isIdle(node: number): boolean {
    const { cores, gpus } = this.sizes[node]!;
    return this.freeCores[node] === cores && this.freeGpus[node] === gpus;
  }

  #changed(node: number): void {
    this.#refresh(this.#all, node);
    for (const view of this.#views.values()) if (view.members[node]) this.#refresh(view, node);
  }

  #refresh({ free, idle }: View, node: number): void {
    const cores = this.freeCores[node]!;
    const gpus = this.freeGpus[node]!;
    const isUp = this.isUp(node);
    if (isUp) free.set(node, cores, gpus);
    else free.remove(node);
    if (isUp && this.isIdle(node)) idle.set(node, cores, gpus);
    else idle.remove(node);
  }

  // ---- views

  #view({ key, test }: Constraint): View {
    if (key === '') return this.#all;
    let view = this.#views.get(key);
    if (view) this.#views.delete(key);
    else {
      view = this.#makeView(test);
      if (this.#views.size === VIEWS_MAX)
        for (const oldest of this.#views.keys()) if (this.#views.delete(oldest)) break;
    }
    this.#views.set(key, view);
    return view;
  }

  #makeView(test: Constraint['test']): View {
    const { length } = this.sizes;
    const view: View = {
      members: new Uint8Array(length),
      free: new FreeIndex(length, this.#maxCores, this.#maxGpus),
      idle: new FreeIndex(length, this.#maxCores, this.#maxGpus),
      kinds: [],
    };
    for (const [node, size] of this.sizes.entries()) {
      if (this.isGone(node) || !test(size)) continue;
      view.members[node] = 1;
      kindOf(view.kinds, size).count++;
      if (this.isUp(node)) this.#refresh(view, node);
    }
    return view;
  }

  /** Whether a node passes a constraint and is there. */
  isMember(constraint: Constraint, node: number): boolean {
    return this.#view(constraint).members[node] === 1;
  }

  /** How many nodes pass a constraint, up or not. */
  countMembers(constraint: Constraint): number {
    return this.#view(constraint).kinds.reduce((sum, { count }) => sum + count, 0);
  }

  // ---- requests

  /** How much of a request what is free now would meet. */
  measure(request: ResourceRequest, enough = Infinity): Measure {
    const { free, idle } = this.#view(request.constraint);
    const { nodes, slots, cores, gpus, exclusive } = request;
    if (!nodes) return { count: free.countSlots(cores, gpus, enough), needed: slots.min };
    const each = perNode(request);
    return { count: (exclusive ? idle : free).countNodes(each.cores, each.gpus, enough), needed: nodes.min };
  }

  fits(request: ResourceRequest): boolean {
    const needed = (request.nodes ?? request.slots).min;
    return this.measure(request, needed).count >= needed;
  }

  /** Where a request would be placed now; undefined when there is not enough. Nothing is taken. */
  place(request: ResourceRequest): Placement | undefined {
    if (!this.fits(request)) return undefined;
    return request.nodes ? this.#placeNodes(request) : this.#placeSlots(request);
  }

  #placeNodes(request: ResourceRequest): Placement {
    const { free, idle } = this.#view(request.constraint);
    const each = perNode(request);
    const wanted = request.nodes!;
    const nodes: number[] = [];
    (request.exclusive ? idle : free).visit(this.order, each.cores, each.gpus, (node) => {
      nodes.push(node);
      return nodes.length < wanted.max;
    });
    nodes.length = wanted.largestUpTo(nodes.length);
    const whole = request.exclusive;
    return {
      nodes,
      cores: nodes.map((node) => (whole ? this.sizes[node]!.cores : each.cores)),
      gpus: nodes.map((node) => (whole ? this.sizes[node]!.gpus : each.gpus)),
      slots: request.slots.min * nodes.length,
    };
  }

  #placeSlots({ slots, cores, gpus, constraint }: ResourceRequest): Placement {
    const { free } = this.#view(constraint);
    const wanted = slots.min === slots.max ? slots.min : slots.largestUpTo(free.countSlots(cores, gpus));
    const nodes: number[] = [];
    const taken: number[] = [];
    let left = wanted;
    free.visit(this.order, cores, gpus, (node) => {
      const here = Math.min(left, slotsIn(this.freeCores[node]!, this.freeGpus[node]!, cores, gpus));
      nodes.push(node);
      taken.push(here);
      left -= here;
      return left > 0;
    });
    return {
      nodes,
      cores: taken.map((count) => count * cores),
      gpus: taken.map((count) => count * gpus),
      slots: wanted,
    };
  }

  /** Takes what was placed, or gives it back. */
  take({ nodes, cores, gpus }: Placement, sign: 1 | -1 = 1): void {
    for (const [i, node] of nodes.entries()) this.add(node, -sign * cores[i]!, -sign * gpus[i]!);
  }

  /** Why a request can never be met, even if all nodes were up and free; undefined when it can. */
  obstacle(request: ResourceRequest): string | undefined {
    const { kinds } = this.#view(request.constraint);
    const { nodes, slots, cores, gpus, exclusive } = request;
    const total = (of: (kind: Kind) => number) => kinds.reduce((sum, kind) => sum + kind.count * of(kind), 0);
    if (nodes) {
      const each = perNode(request);
      const eligible = total((kind) => Number(kind.cores >= each.cores && kind.gpus >= each.gpus));
      if (eligible >= nodes.min) return undefined;
      if (exclusive) return `unsatisfiable request: need ${nodes.min} exclusive node(s), only ${eligible} eligible`;
      const withGpus = each.gpus ? ` and ${each.gpus} GPUs` : '';
      return `unsatisfiable request: need ${nodes.min} node(s) with ${each.cores} cores${withGpus} each, only ${eligible} eligible`;
    }
    const byCores = total((kind) => slotsIn(kind.cores, 0, cores, 0));
    if (byCores < slots.min)
      return `unsatisfiable request: need ${slots.min} slot(s) of ${cores} core(s), only ${byCores} such slot(s) available (total cores: ${total((kind) => kind.cores)})`;
    const withGpus = total((kind) => slotsIn(kind.cores, kind.gpus, cores, gpus));
    if (withGpus < slots.min)
      return `unsatisfiable request: need ${slots.min} slot(s) with ${gpus} GPU(s) each, only ${withGpus} available (total GPUs: ${total((kind) => kind.gpus)})`;
    return undefined;
  }
}

function kindOf(kinds: Kind[], { cores, gpus }: NodeSize): Kind {
  let kind = kinds.find((each) => each.cores === cores && each.gpus === gpus);
  if (!kind) {
    kind = { cores, gpus, count: 0 };
    kinds.push(kind);
  }
  return kind;
}
