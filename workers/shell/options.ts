/** Shell options (RFC 14, attributes.system.shell.options): looked up by paths, changed without touching the jobspec. */

import { systemAttributes } from '../../core/formats/system-attributes.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { isObject } from '../../core/message/unpack.ts';

/** The shell's options in a jobspec. */
export function shellOptions(jobspec: JsonObject): JsonObject {
  const { shell } = systemAttributes(jobspec);
  const options = isObject(shell) ? shell.options : undefined;
  return isObject(options) ? options : {};
}

export class ShellOptions {
  #table: JsonObject;

  constructor(table: JsonObject) {
    this.#table = table;
  }

  get table(): JsonObject {
    return this.#table;
  }

  /** The option of a path with dots; undefined when it is not given. A name that has dots itself is found, too. */
  get(path: string): JsonValue | undefined {
    if (Object.hasOwn(this.#table, path)) return this.#table[path];
    let value: JsonValue | undefined = this.#table;
    for (const name of path.split('.')) value = isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
    return value;
  }

  set(path: string, value: JsonValue | undefined): void {
    this.#table = withMember(this.#table, path.split('.'), value);
  }
}

function withMember(table: JsonObject, [name, ...rest]: readonly string[], value: JsonValue | undefined): JsonObject {
  if (rest.length === 0) return { ...table, [name!]: value };
  const inner = table[name!];
  return { ...table, [name!]: withMember(isObject(inner) ? inner : {}, rest, value) };
}
