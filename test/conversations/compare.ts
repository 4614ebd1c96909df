/**
 * What was recorded and what came, compared: values that are another run's are learned and put in place, and what never
 * is the same twice does not count.
 */

import { decodeEventlog, type EventlogEntry } from '../../core/formats/eventlog.ts';
import { type JsonObject, parseJson, Real } from '../../core/json.ts';
import { Substitution } from './substitution.ts';

/** Something that is not as recorded. */
export interface Difference {
  /** Topic and path of the value, or the line of a text; ` kind` or ` shape` behind it for more than another value. */
  readonly where: string;
  readonly recorded: unknown;
  readonly actual: unknown;
}

function kind(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (value instanceof Real) return 'real';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'real';
  return typeof value;
}

/** A text without what differs from run to run: ids, hashes, dates, times and reals. */
function steady(text: string): string {
  return text
    .replace(
      /ƒ[1-9A-HJ-NP-Za-km-z]{2,}|(?<=shell-)f[1-9A-HJ-NP-Za-km-z]{2,}|\bf(?=[a-z]*[1-9A-Z])[1-9A-HJ-NP-Za-km-z]{5,11}\b/g,
      '<id>',
    )
    .replace(/(?<=\/)flux-\w{6}(?=\/)/g, 'flux-<id>')
    .replace(/\bpid=\d+/g, 'pid=<id>')
    .replace(/\d{4}-\d\d-\d\d(?!\d)/g, '<date>')
    .replace(/\d+:\d\d(:\d\d)?(\.\d+)?/g, '<time>')
    .replace(/-?\d+\.\d+(e[+-]?\d+)?(us|ms|s|m|h|d)?(?!\w)/g, '<real>')
    .replace(/\b[0-9a-f]{8,}\b/g, '<id>')
    .replace(/\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b/g, '<day>')
    .replace(/\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) ?\d+/g, '<date>')
    .replace(/[ \t]+/g, ' ');
}

/** As `steady`, without any number. */
export function shape(text: string): string {
  return steady(text)
    .replace(/-?\d+(us|ms|s|m|h|d|[KMGT]i?B?)?(?![\w<])/g, '<n>')
    .replaceAll('<real>', '<n>');
}

/** What a text that is an event log holds. */
export function eventlogOf(text: unknown): readonly EventlogEntry[] | undefined {
  if (typeof text !== 'string' || !/^\{"timestamp":.*\}\n$/s.test(text)) return undefined;
  try {
    return decodeEventlog(text);
  } catch {
    return undefined;
  }
}

/** What a text that is a JSON object holds. */
function objectOf(text: unknown): JsonObject | undefined {
  if (typeof text !== 'string' || !text.startsWith('{')) return undefined;
  try {
    return parseJson(text) as JsonObject;
  } catch {
    return undefined;
  }
}

function namesOf(entries: readonly EventlogEntry[]): string {
  return entries.map(({ name }) => name).join();
}

/** Differences of two JSON values below `where`; what came may have more fields than were recorded. */
export function differences(
  recorded: unknown,
  actual: unknown,
  substitution: Substitution,
  where: string,
  key = '',
): Difference[] {
  const difference = (suffix: string): Difference[] => [{ where: `${where}${suffix}`, recorded, actual }];
  if (kind(recorded) !== kind(actual)) return difference(' kind');
  if (Array.isArray(recorded) && Array.isArray(actual)) {
    const lengths =
      recorded.length === actual.length
        ? []
        : [{ where: `${where}.length`, recorded: recorded.length, actual: actual.length }];
    const pairs = recorded.slice(0, actual.length).map((value, i) => [value, actual[i]] as const);
    return [...lengths, ...pairs.flatMap(([was, is]) => differences(was, is, substitution, `${where}[]`, key))];
  }
  if (kind(recorded) === 'object') {
    const fields = actual as Readonly<Record<string, unknown>>;
    return Object.entries(recorded as object).flatMap(([name, value]) => {
      const here = Object.hasOwn(fields, name) ? name : substitution.text(name);
      return Object.hasOwn(fields, here)
        ? differences(value, fields[here], substitution, `${where}.${name}`, name)
        : [{ where: `${where}.${name} missing`, recorded: value, actual: undefined }];
    });
  }
  if (substitution.isSame(key, recorded, actual) || substitution.learnJobId(key, recorded, actual)) return [];
  const [entries, actualEntries] = [eventlogOf(recorded), eventlogOf(actual)];
  if (entries && actualEntries && namesOf(entries) === namesOf(actualEntries))
    return entries.flatMap(({ name, context = {} }, i) =>
      differences(context, actualEntries[i]!.context ?? {}, substitution, `${where}<${name}>`),
    );
  const [value, actualValue] = [objectOf(recorded), objectOf(actual)];
  if (value && actualValue) return differences(value, actualValue, substitution, `${where} `);
  const reads =
    typeof recorded === 'string' && shape(substitution.text(recorded)) !== shape(String(actual)) ? ' shape' : '';
  substitution.learn(key, recorded, actual);
  return difference(reads);
}

/** Lines that differ in more than ids, times and reals. */
export function textDifferences(name: string, recorded: string, actual: string): Difference[] {
  const lines = recorded.split('\n');
  const actualLines = actual.split('\n');
  if (lines.length !== actualLines.length) return [{ where: `${name} lines`, recorded, actual }];
  return lines.flatMap((line, i) => {
    const other = actualLines[i]!;
    if (line === other || steady(line) === steady(other)) return [];
    const [value, actualValue] = [objectOf(line), objectOf(other)];
    if (value && actualValue) return differences(value, actualValue, new Substitution(), `${name} line ${i + 1} `);
    const reads = shape(line) === shape(other) ? '' : ' shape';
    return [{ where: `${name} line ${i + 1}${reads}`, recorded: line, actual: other }];
  });
}

/** What is never the same twice: ids, times, what the machine has used, and what else a broker has been told. */
const unsteady = [
  /\.(timestamp|pid|route|t_\w+|starttime|duration|runtime|uuid)( shape)?$/,
  /^cron\.\w+ .*(ctime|lastrun|next_wakeup|-time)$/,
  /\.rusage \.\w+$/,
  /\.stats-get \.[rt]x\.\w+$/,
  /^event\.publish \.seq$/,
  // Where an instance is, and what surrounded a client that submits.
  /(\.annotations\.user|<memo>)\.uri( shape)?$/,
  /\.attributes\.system\.environment\./,
  // Where flux-core's source says it.
  /<log>\.(file|line) missing$/,
];

/** The differences that count; `may` lists further ones that do not. */
export function thatCount(found: readonly Difference[], may: readonly string[] = []): Difference[] {
  return found.filter(({ where }) => !may.includes(where) && !unsteady.some((pattern) => pattern.test(where)));
}
