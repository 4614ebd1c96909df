/** What `resource.status` and `resource.sched-status` answer. */

import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import { resourceSetFromJson, resourceSetToJson } from '../../core/formats/resource-json.ts';
import { propertiesOf, withProperties } from '../../core/formats/resource-properties.ts';
import { ResourceSet } from '../../core/formats/resource-set.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { unpack } from '../../core/message/unpack.ts';
import type { Availability } from './availability.ts';

export class Status {
  readonly #context: ServiceContext;
  readonly #resources: Availability;
  /** What the job manager is being asked, for all who ask at the time. */
  #allocated: Promise<ResourceSet> | undefined;
  /** What there is and what of it is down, as JSON, until an event changes it. */
  #shown: { readonly all: JsonObject; readonly down: JsonObject } | undefined;

  constructor(context: ServiceContext, resources: Availability) {
    this.#context = context;
    this.#resources = resources;
  }

  /** An event of the journal. */
  onEvent(): void {
    this.#shown = undefined;
  }

  /** @throws FluxError ENOENT: R is not known yet */
  status(): JsonObject {
    const { inventory, monitor, drain, exclude } = this.#resources;
    const { scheduling: _, ...R } = known(inventory.R);
    return {
      R,
      drain: drain.toJSON(),
      online: monitor.up.encode(),
      offline: monitor.down.encode(),
      exclude: exclude.encode(),
      torpid: monitor.torpid.encode(),
    };
  }

  /** All resources as a scheduler sees them, with what the jobs have of them. */
  async schedStatus(): Promise<JsonObject> {
    this.#allocated ??= this.#askAllocated().finally(() => {
      this.#allocated = undefined;
    });
    const allocated = await this.#allocated;
    known(this.#resources.inventory.R);
    const { all } = this.#resources;
    const shown = this.#shown ?? this.#show(all);
    return { ...shown, allocated: resourceSetToJson(withPropertiesOf(allocated, all)) };
  }

  #show(set: ResourceSet): { all: JsonObject; down: JsonObject } {
    const all = new ResourceSet(set.nodes, { ...set, scheduling: undefined });
    const up = this.#resources.upOf(all.ranks);
    const down = new ResourceSet(all.nodes.filter(({ rank }) => !up.has(rank)));
    this.#shown = { all: resourceSetToJson(all), down: resourceSetToJson(down) };
    return this.#shown;
  }

  async #askAllocated(): Promise<ResourceSet> {
    let answer: JsonValue | undefined;
    try {
      answer = await this.#context.rpc('job-manager.resource-status', undefined, { nodeid: 0 });
    } catch (error) {
      const { code, message } = asFluxError(error);
      // It is loaded later than this module.
      if (code === 'ENOSYS') return ResourceSet.empty;
      throw new FluxError('EINVAL', `job-manager.resource-status request failed: ${message}`, { cause: error });
    }
    return resourceSetFromJson(unpack(answer, { allocated: 'o' }).allocated);
  }
}

function known(R: JsonObject | undefined): JsonObject {
  if (!R) throw new FluxError('ENOENT', 'the resources are not known yet');
  return R;
}

/** A set with the properties that its ranks have in another one. */
function withPropertiesOf(set: ResourceSet, all: ResourceSet): ResourceSet {
  const properties = [...propertiesOf(all)].map(
    ([name, ranks]) => [name, ranks.intersect(set.ranks).encode()] as const,
  );
  const present = properties.filter(([, ranks]) => ranks !== '');
  return present.length ? withProperties(set, present) : set;
}
