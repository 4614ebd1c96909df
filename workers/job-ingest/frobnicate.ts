/**
 * What the configuration puts into jobspecs: defaults (`policy.jobspec.defaults` and those of queues) and the constraints
 * of queues (RFC 33).
 */

import { FluxError } from '../../core/errno.ts';
import { parseDuration } from '../../core/formats/duration.ts';
import { type JsonObject, type JsonValue, Real, real } from '../../core/json.ts';
import { isObject } from '../../core/message/unpack.ts';

/** Makes another jobspec of one; throws FluxError EPERM why it can't. */
export type Frobnicator = (jobspec: JsonObject) => JsonObject;

/** Attributes that jobs get where they have none. */
export function defaultsFrobnicator(config: JsonObject): Frobnicator {
  const queues = tableAt(config, 'queues') ?? {};
  const general = systemDefaults(config);
  return (jobspec) => {
    const system = systemOf(jobspec);
    const queue = system.queue || general.queue;
    if (queue === undefined && Object.keys(queues).length) throw refusal('no queue specified');
    const defaults = { ...general };
    for (const layer of layersOf(queues, queue)) Object.assign(defaults, systemDefaults(layer));
    const added: Record<string, JsonValue> = {};
    for (const [key, value] of Object.entries(defaults)) {
      if (key === 'duration' && isUnset(system.duration)) added.duration = seconds(value!);
      else if (system[key] === undefined) added[key] = value!;
    }
    return withSystem(jobspec, added);
  };
}

/** A queue, behind the one that it inherits from; nothing when there are no queues. */
function layersOf(queues: JsonObject, name: JsonValue | undefined): JsonObject[] {
  if (name === undefined || !Object.keys(queues).length) return [];
  const queue = queueNamed(queues, name);
  const parent = parentOf(queues, String(name), queue);
  return parent ? [parent, queue] : [queue];
}

/** Constraints that the queue of a job adds to its own. */
export function constraintsFrobnicator(config: JsonObject): Frobnicator {
  const queues = tableAt(config, 'queues') ?? {};
  return (jobspec) => {
    const { queue: name, constraints } = systemOf(jobspec);
    if (!name) return jobspec;
    const queue = queueNamed(queues, name);
    // A queue that inherits has no properties of its own.
    const { requires } = parentOf(queues, String(name), queue) ?? queue;
    if (!Array.isArray(requires)) return jobspec;
    return withSystem(jobspec, { constraints: constrain(constraints, requires) });
  };
}

function constrain(constraints: JsonValue | undefined, properties: readonly JsonValue[]): JsonObject {
  if (constraints === undefined) return { properties };
  if (isObject(constraints) && Array.isArray(constraints.properties)) {
    const { properties: own } = constraints as { readonly properties: readonly JsonValue[] };
    return { ...constraints, properties: [...own, ...properties.filter((property) => !own.includes(property))] };
  }
  return { and: [constraints, { properties }] };
}

// ---- queues

function queueNamed(queues: JsonObject, name: JsonValue): JsonObject {
  const queue = typeof name === 'string' ? tableAt(queues, name) : undefined;
  if (!queue) throw refusal(`Invalid queue '${name}' specified`);
  return queue;
}

/** The queue that another one inherits from, one level up (RFC 33, virtual queues). */
function parentOf(queues: JsonObject, name: string, { parent }: JsonObject): JsonObject | undefined {
  if (parent === undefined) return undefined;
  const found = typeof parent === 'string' ? tableAt(queues, parent) : undefined;
  if (!found) throw refusal(`queue '${name}': parent queue '${parent}' is not configured`);
  return found;
}

/** `policy.jobspec.defaults.system` of a configuration, or of a queue. */
function systemDefaults(table: JsonObject): JsonObject {
  let found: JsonObject | undefined = table;
  for (const key of ['policy', 'jobspec', 'defaults', 'system']) found = found && tableAt(found, key);
  return found ?? {};
}

function tableAt(table: JsonObject, key: string): JsonObject | undefined {
  const value = Object.hasOwn(table, key) ? table[key] : undefined;
  return isObject(value) ? value : undefined;
}

// ---- jobspecs

function systemOf(jobspec: JsonObject): JsonObject {
  const { attributes } = jobspec;
  if (!isObject(attributes)) throw refusal('invalid jobspec: attributes must be a mapping');
  const { system = {} } = attributes;
  if (!isObject(system)) throw refusal('invalid jobspec: attributes.system must be a mapping');
  return system;
}

function withSystem(jobspec: JsonObject, added: JsonObject): JsonObject {
  return {
    ...jobspec,
    attributes: { ...(jobspec.attributes as JsonObject), system: { ...systemOf(jobspec), ...added } },
  };
}

function isUnset(duration: JsonValue | undefined): boolean {
  return duration === undefined || duration === 0 || (duration instanceof Real && duration.value === 0);
}

function seconds(duration: JsonValue): JsonValue {
  return typeof duration === 'string' ? real(parseDuration(duration)) : duration;
}

function refusal(why: string): FluxError {
  return new FluxError('EPERM', why);
}
