/** The environment of one rank: that of its process, with what `broker.setenv` changed on this rank. */

type Variables = Readonly<Record<string, string | undefined>>;

export class Environment {
  readonly #base: Variables;
  // Changed variables; null: unset.
  #changes: Map<string, string | null> | undefined;

  constructor(base: Variables) {
    this.#base = base;
  }

  get(name: string): string | undefined {
    const changed = this.#changes?.get(name);
    return changed === undefined ? this.#base[name] : (changed ?? undefined);
  }

  /** Sets a variable, or unsets it with null. */
  set(name: string, value: string | null): void {
    this.#changes ??= new Map();
    this.#changes.set(name, value);
  }

  all(): Record<string, string> {
    const all: Record<string, string> = {};
    for (const [name, value] of Object.entries(this.#base)) if (value !== undefined) all[name] = value;
    for (const [name, value] of this.#changes ?? []) {
      if (value === null) delete all[name];
      else all[name] = value;
    }
    return all;
  }
}
