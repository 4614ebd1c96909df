/** What a jobspec says to Flux itself (RFC 14, `attributes.system`). */

import type { JsonObject } from '../json.ts';
import { isObject } from '../message/unpack.ts';

/** `attributes.system` of a jobspec; empty when there is none. */
export function systemAttributes({ attributes }: JsonObject): JsonObject {
  const system = isObject(attributes) ? attributes.system : undefined;
  return isObject(system) ? system : {};
}
