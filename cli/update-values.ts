/** What `flux update` changes: `KEY=VALUE` as members of a jobspec. */

import { about, FluxError } from '../core/errno.ts';
import { formatDurationBriefly, parseDurationArgument } from '../core/formats/duration.ts';
import { type JsonObject, type JsonValue, real } from '../core/json.ts';

import { jsonOrText } from './context-match.ts';

const DURATION = 'attributes.system.duration';

const aliases: Readonly<Record<string, string>> = { name: 'attributes.system.job.name' };

/** Where a key is in a jobspec: in `attributes.system` unless it says so itself. */
export function jobspecKey(key: string): string {
  if (Object.hasOwn(aliases, key)) return aliases[key]!;
  return /^(attributes|resources|tasks)\./.test(key) ? key : `attributes.system.${key}`;
}

/**
 * The changes that words ask for; of a key that is there twice, the last.
 *
 * @param duration asks how long the job may run now; 0: without an end
 * @throws FluxError EINVAL: a duration that is none
 */
export async function readUpdates(words: readonly string[], duration: () => Promise<number>): Promise<JsonObject> {
  const updates: { [key: string]: JsonValue } = {};
  for (const word of words) {
    const [, name = '', value = ''] = /^([^=]*)=?(.*)$/s.exec(word) ?? [];
    const key = jobspecKey(name);
    updates[key] = key === DURATION ? await readDuration(value, duration) : jsonOrText(value);
  }
  return updates;
}

/** A duration, or with `+` or `-` in front a change of the one there is. In a jobspec 0 stands for no end. */
async function readDuration(text: string, current: () => Promise<number>): Promise<JsonValue> {
  const [, sign = '', rest = ''] = /^([-+]?)(.*)$/s.exec(text) ?? [];
  if (!sign) return jobspecDuration(parse(rest, text));
  const before = await current();
  if (before === 0) throw new FluxError('EINVAL', `the job may run without an end: that cannot be changed by ${text}`);
  const change = parse(rest, text);
  const after = sign === '-' ? before - change : before + change;
  if (after > 0) return jobspecDuration(after);
  throw new FluxError('EINVAL', `the job may run for ${formatDurationBriefly(before)}, which cannot be ${rest} less`);
}

function parse(text: string, whole: string): number {
  try {
    return parseDurationArgument(text);
  } catch (error) {
    throw about(`duration=${whole}`, error);
  }
}

function jobspecDuration(seconds: number): JsonValue {
  return real(seconds === Infinity ? 0 : seconds);
}
