/** Which modules of a table are loaded or removed together, and in which order. */

import { FluxError } from '../errno.ts';
import { type ModuleEntry, provides, runsOn } from './module-table.ts';

/** Where modules are to be loaded. */
export interface ModulePlace {
  readonly rank: number;
  /** Whether a key of the configuration, written with dots, is set. */
  hasConfig(key: string): boolean;
  hasAttribute(name: string): boolean;
  hasVariable(name: string): boolean;
}

/** The names of modules that must have been loaded, or removed, before each. */
export type Predecessors = ReadonlyMap<string, readonly string[]>;

export class ModuleOrder {
  readonly #table: readonly ModuleEntry[];
  readonly #place: ModulePlace;

  constructor(table: readonly ModuleEntry[], place: ModulePlace) {
    this.#table = table;
    this.#place = place;
  }

  entry(name: string): ModuleEntry | undefined {
    return this.#table.find((each) => each.name === name);
  }

  /**
   * The module that is taken for a service.
   *
   * @param explicit the user has asked for it: that it would be left out by itself does not count
   * @throws FluxError ENOENT: there is none
   */
  resolve(service: string, explicit = false): ModuleEntry {
    const providers = this.#table.filter((each) => provides(each, service)).sort((a, b) => a.priority - b.priority);
    const viable = providers.filter((each) => this.isEnabled(each) && (explicit || this.#hasNeeds(each, [])));
    const taken = viable.at(-1) ?? providers.at(-1);
    if (!taken) throw new FluxError('ENOENT', `there is no module ${service}`);
    return taken;
  }

  /** Whether a module belongs on this rank, as far as that does not depend on others. */
  isEnabled({ disabled, ranks, needsConfig, needsAttrs, needsEnv }: ModuleEntry): boolean {
    const place = this.#place;
    return (
      !disabled &&
      runsOn(ranks, place.rank) &&
      needsConfig.every((key) => holds(key, (plain) => place.hasConfig(plain))) &&
      needsAttrs.every((name) => holds(name, (plain) => place.hasAttribute(plain))) &&
      needsEnv.every((name) => holds(name, (plain) => place.hasVariable(plain)))
    );
  }

  #hasNeeds(entry: ModuleEntry, asking: readonly ModuleEntry[]): boolean {
    if (asking.includes(entry)) return false;
    return entry.needs.every((need) =>
      this.#table.some(
        (each) => provides(each, need) && this.isEnabled(each) && this.#hasNeeds(each, [...asking, entry]),
      ),
    );
  }

  /**
   * The modules of these services, and of all that they require.
   *
   * @param explicit the user has asked for them, so none is left out
   * @throws FluxError ENOENT: there is no module for one
   */
  requirements(services: readonly string[], explicit = false): string[] {
    const found = new Map<string, boolean>();
    const visit = (service: string): void => {
      const entry = this.resolve(service, explicit);
      if (found.has(entry.name)) return;
      found.set(entry.name, explicit || (this.isEnabled(entry) && this.#hasNeeds(entry, [])));
      entry.requires.forEach(visit);
    };
    services.forEach(visit);
    return [...found].filter(([, wanted]) => wanted).map(([name]) => name);
  }

  /**
   * What of these modules each must be loaded after.
   *
   * @throws FluxError EDEADLK: they wait for each other
   */
  loadOrder(names: readonly string[]): Predecessors {
    const entries = names.map((name) => this.entry(name)!);
    const predecessors = new Map(
      entries.map(({ name, after }) => [
        name,
        entries.filter((each) => each.name !== name && after.some((s) => provides(each, s))).map((each) => each.name),
      ]),
    );
    checkAcyclic(predecessors);
    return predecessors;
  }

  /**
   * These modules in an order in which they can be loaded one by one.
   *
   * @throws FluxError EDEADLK: they wait for each other
   */
  sequence(names: readonly string[]): string[] {
    const predecessors = this.loadOrder(names);
    const placed = new Set<string>();
    const place = (name: string): void => {
      for (const other of predecessors.get(name)!) if (!placed.has(other)) place(other);
      placed.add(name);
    };
    names.forEach(place);
    return [...placed];
  }

  /** What of these modules each must be removed after: loading turned round. */
  removeOrder(names: readonly string[]): Predecessors {
    const loading = this.loadOrder(names);
    return new Map(names.map((name) => [name, names.filter((other) => loading.get(other)!.includes(name))]));
  }

  /**
   * These modules, and those that only they required.
   *
   * @param loaded all that are loaded
   * @throws FluxError EBUSY: others require one of them
   */
  removable(names: readonly string[], loaded: readonly string[]): string[] {
    const entries = loaded.map((name) => this.entry(name)).filter((each) => each !== undefined);
    const usersOf = (name: string, gone: ReadonlySet<string>): string[] => {
      const used = this.entry(name)!;
      return entries
        .filter((each) => !gone.has(each.name) && each.requires.some((service) => provides(used, service)))
        .map((each) => each.name);
    };
    const gone = new Set(names);
    for (const name of gone) {
      for (const { name: other } of entries) {
        const isRequired = this.entry(name)!.requires.some((service) => provides(this.entry(other)!, service));
        if (isRequired && !gone.has(other) && usersOf(other, gone).length === 0) gone.add(other);
      }
    }
    for (const name of names) {
      const users = usersOf(name, gone).sort();
      if (users.length) throw new FluxError('EBUSY', `${name} is in use by ${users.join(', ')}`);
    }
    return [...gone];
  }
}

function holds(condition: string, test: (name: string) => boolean): boolean {
  return condition.startsWith('!') ? !test(condition.slice(1)) : test(condition);
}

function checkAcyclic(predecessors: Predecessors): void {
  const finished = new Set<string>();
  const visit = (name: string, path: readonly string[]): void => {
    if (finished.has(name)) return;
    if (path.includes(name))
      throw new FluxError('EDEADLK', `modules wait for each other: ${[...path, name].join(', ')}`);
    for (const other of predecessors.get(name)!) visit(other, [...path, name]);
    finished.add(name);
  };
  for (const name of predecessors.keys()) visit(name, []);
}
