/** Strings that many jobs have in common, once in memory: names, folders, hosts. */

/** Strings that are remembered; those that jobs have stay theirs when all is forgotten. */
const REMEMBERED_MAX = 20_000;
/** Longer ones are unlikely to come twice. */
const LENGTH_MAX = 256;

export class StringPool {
  readonly #strings = new Map<string, string>();

  /** A string that equals this one. */
  get(text: string): string {
    if (text.length > LENGTH_MAX) return text;
    const known = this.#strings.get(text);
    if (known !== undefined) return known;
    if (this.#strings.size >= REMEMBERED_MAX) this.#strings.clear();
    this.#strings.set(text, text);
    return text;
  }
}
