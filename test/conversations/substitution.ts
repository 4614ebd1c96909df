/** What was recorded and what stands for it in this run. */

import { encodeFluid, fluidForms, parseFluid } from '../../core/formats/fluid.ts';
import { Real } from '../../core/json.ts';
import { inEnvelopes } from './recording.ts';

/** Job ids are larger than this: they count milliseconds since the start, with 24 bits of other things behind. */
const JOB_ID_MIN = 2 ** 20;
/** Reals larger than this, as numbers or texts, are seconds since the epoch. */
const TIME_MIN = 1e9;

function isTime(value: unknown): boolean {
  const isReal =
    value instanceof Real ||
    (typeof value === 'number' && !Number.isInteger(value)) ||
    (typeof value === 'string' && /^\d+\.\d+$/.test(value));
  return isReal && Number(value) > TIME_MIN;
}

/** The job id that a value is. */
function jobIdOf(value: unknown): bigint | undefined {
  if ((typeof value === 'bigint' || Number.isInteger(value)) && (value as number | bigint) >= JOB_ID_MIN)
    return BigInt(value as number | bigint);
  if (typeof value !== 'string') return undefined;
  return /^(\d{8,}|[ƒf][1-9A-HJ-NP-Za-km-z]{4,})$/.test(value) ? parseFluid(value) : undefined;
}

const blobrefs = (text: string) => text.match(/sha(1|256)-[0-9a-f]+/g) ?? [];
const quoted = (text: string) => JSON.stringify(text).slice(1, -1);

export class Substitution {
  readonly #texts = new Map<string, string>();
  readonly #pids = new Map<number, number>();

  set(recorded: string, actual: string): void {
    if (recorded !== actual) this.#texts.set(recorded, actual);
  }

  /** Notes a variable of the set-up, which may be a job id, a jobspec, or a text with blobrefs. */
  setVariable(recorded: string, actual: string): void {
    this.set(recorded, actual);
    const [id, actualId] = [jobIdOf(recorded), jobIdOf(actual)];
    if (id !== undefined && actualId !== undefined) this.#setJobId(id, actualId);
    if (recorded.startsWith('{')) this.set(quoted(recorded), quoted(actual));
    const actualBlobrefs = blobrefs(actual);
    for (const [i, blobref] of blobrefs(recorded).entries()) this.set(blobref, actualBlobrefs[i] ?? blobref);
  }

  #setJobId(recorded: bigint, actual: bigint): void {
    for (const form of fluidForms) this.set(encodeFluid(recorded, form), encodeFluid(actual, form));
  }

  /** Notes a job id that was not known so far; false: it is none, or is known as another one. */
  learnJobId(key: string, recorded: unknown, actual: unknown): boolean {
    if (!/^(max_)?(job|dep)?id$|^jobs$/.test(key) || this.#texts.has(String(recorded))) return false;
    const [id, actualId] = [jobIdOf(recorded), jobIdOf(actual)];
    if (id === undefined || actualId === undefined) return false;
    this.#setJobId(id, actualId);
    return true;
  }

  /** Notes a value that is another one in this run, when later messages may speak of it. */
  learn(key: string, recorded: unknown, actual: unknown): void {
    if (typeof recorded === 'string' && typeof actual === 'string' && recorded.length >= 8) this.set(recorded, actual);
    else if (key === 'pid' && typeof recorded === 'number' && typeof actual === 'number')
      this.#pids.set(recorded, actual);
  }

  /** A recorded text with this run's values, the longest first: one may be part of another. */
  text(recorded: string): string {
    const texts = [...this.#texts].sort(([a], [b]) => b.length - a.length);
    return texts.reduce((text, [from, to]) => text.replaceAll(from, to), recorded);
  }

  /** The JSON text of a recorded request, as it is to be sent in this run. */
  request(recorded: string): string {
    const text = this.text(recorded).replace(/"pid":(\d+)/g, (_, pid) => `"pid":${this.#pids.get(Number(pid)) ?? pid}`);
    return inEnvelopes(text, (jobspec) => this.text(jobspec));
  }

  /** Whether a value that is no array and no object is as recorded. */
  isSame(key: string, recorded: unknown, actual: unknown): boolean {
    if (isTime(recorded) && isTime(actual)) return true;
    if (typeof recorded === 'string') return this.text(recorded) === actual;
    if (recorded instanceof Real) return recorded.value === Number(actual);
    if (recorded === actual || (key === 'pid' && this.#pids.get(recorded as number) === actual)) return true;
    return jobIdOf(recorded) !== undefined && this.#texts.get(String(recorded)) === String(actual);
  }
}
