/**
 * Takes the fields a handler wants out of a JSON payload, or says which one is missing or of the wrong kind.
 *
 * Kinds: `s` string, `i` integer, `I` integer of 64 bits as a bigint (a job id), `f` real, `n` number of either kind, `b` boolean, `o` object, `a` array, `*` anything;
 * a `?` after it marks a field that may be absent. Integer and real are different kinds, as they are to C clients.
 */

import { FluxError } from '../errno.ts';
import { type JsonObject, type JsonValue, Real } from '../json.ts';

interface KindTypes {
  s: string;
  i: number;
  I: bigint;
  f: number;
  n: number;
  b: boolean;
  o: JsonObject;
  a: readonly JsonValue[];
  '*': JsonValue;
}

type Kind = keyof KindTypes;
export type Fields = Readonly<Record<string, Kind | `${Kind}?`>>;

export type Unpacked<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends `${infer O extends Kind}?`
    ? KindTypes[O] | undefined
    : F[K] extends Kind
      ? KindTypes[F[K]]
      : never;
};

const kindNames: Record<Kind, string> = {
  s: 'a string',
  i: 'an integer',
  I: 'an integer',
  f: 'a real number',
  n: 'a number',
  b: 'true or false',
  o: 'an object',
  a: 'an array',
  '*': 'a value',
};

/** Whether a value is a JSON object (not an array, not null). */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Real);
}

function ofKind(value: JsonValue, kind: Kind): JsonValue | undefined {
  switch (kind) {
    case 'I':
      return typeof value === 'bigint' ? value : Number.isInteger(value) ? BigInt(value as number) : undefined;
    case 's':
      return typeof value === 'string' ? value : undefined;
    case 'i':
      return Number.isInteger(value) ? value : undefined;
    case 'f':
      return value instanceof Real
        ? value.value
        : typeof value === 'number' && !Number.isInteger(value)
          ? value
          : undefined;
    case 'n':
      return value instanceof Real ? value.value : typeof value === 'number' ? value : undefined;
    case 'b':
      return typeof value === 'boolean' ? value : undefined;
    case 'o':
      return isObject(value) ? value : undefined;
    case 'a':
      return Array.isArray(value) ? value : undefined;
    case '*':
      return value;
  }
}

/** The wanted fields of an object; `fail` says what is wrong with one, and what is thrown is up to it. */
function takeFields<F extends Fields>(object: JsonObject, fields: F, fail: (fault: string) => never): Unpacked<F> {
  const result: Record<string, JsonValue | undefined> = {};
  for (const name in fields) {
    const wanted = fields[name]!;
    const value = object[name];
    if (value === undefined) {
      if (!wanted.endsWith('?')) fail(`'${name}' is missing`);
      continue;
    }
    const kind = wanted[0] as Kind;
    const taken = ofKind(value, kind);
    if (taken === undefined) fail(`'${name}' is not ${kindNames[kind]}`);
    result[name] = taken;
  }
  return result as Unpacked<F>;
}

/**
 * The wanted fields of a payload; fields that nobody asked for are let pass.
 *
 * @throws FluxError EPROTO: no object, a field missing, a field of another kind
 */
export function unpack<F extends Fields>(payload: JsonValue | undefined, fields: F): Unpacked<F> {
  if (!isObject(payload)) throw new FluxError('EPROTO', 'the payload is not a JSON object');
  return takeFields(payload, fields, (fault) => {
    throw new FluxError('EPROTO', `bad payload: ${fault}`);
  });
}

/**
 * The wanted fields of a table of the configuration, all of them when there is no such table; nothing else may be in it.
 *
 * @param path the table's name, with dots
 * @param shown how errors call it, when `config` is itself a table of the configuration
 * @throws FluxError EINVAL: no table, a field of another kind, a field that is not known
 */
export function unpackTable<F extends Fields>(config: JsonObject, path: string, fields: F, shown = path): Unpacked<F> {
  const fail = (fault: string): never => {
    throw new FluxError('EINVAL', `error parsing [${shown}] configuration: ${fault}`);
  };
  let table: JsonValue | undefined = config;
  for (const key of path.split('.')) table = isObject(table) ? table[key] : undefined;
  if (table === undefined) return {} as Unpacked<F>;
  if (!isObject(table)) return fail('it is not a table');
  const unknown = Object.keys(table).filter((key) => !Object.hasOwn(fields, key));
  if (unknown.length) fail(`unknown key ${unknown.map((key) => `'${key}'`).join(', ')}`);
  return takeFields(table, fields, fail);
}
