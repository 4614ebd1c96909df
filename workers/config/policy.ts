/**
 * What [policy] and [queues] of the configuration may say (RFC 33).
 */

import { FluxError } from '../../core/errno.ts';
import { parseDuration } from '../../core/formats/duration.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { type Fields, isObject, unpackTable } from '../../core/message/unpack.ts';

function fail(path: string, fault: string): never {
  throw new FluxError('EINVAL', `error parsing [${path}] configuration: ${fault}`);
}

function checkDuration(path: string, key: string, value: JsonValue | undefined): void {
  if (value === undefined) return;
  try {
    parseDuration(typeof value === 'string' ? value : 'not a string');
  } catch {
    fail(path, `'${key}' is not a valid FSD`);
  }
}

function checkStrings(path: string, key: string, value: JsonValue | undefined, banned = ''): void {
  const isFine = (each: JsonValue) =>
    typeof each === 'string' && ![...banned].some((character) => each.includes(character));
  if (value !== undefined && !(Array.isArray(value) && value.every(isFine)))
    fail(path, `'${key}' must be an array of strings${banned && ` without any of ${banned}`}`);
}

/** Checks the table `policy` of the configuration, or of a queue, which `shown` names; returns its default queue. */
function checkPolicy(config: JsonObject, shown: string): string | undefined {
  const unpack = <F extends Fields>(path: string, fields: F) =>
    unpackTable(config, `policy${path}`, fields, `${shown}${path}`);
  unpack('', { jobspec: 'o?', limits: 'o?', access: 'o?', scheduler: 'o?' });
  unpack('.jobspec', { defaults: 'o?' });
  unpack('.jobspec.defaults', { system: 'o?' });
  const { duration, queue } = unpack('.jobspec.defaults.system', { duration: '*?', queue: 's?' });
  checkDuration(`${shown}.jobspec`, 'defaults.system.duration', duration);

  const limits = unpack('.limits', { 'job-size': 'o?', duration: '*?' });
  checkDuration(`${shown}.limits`, 'duration', limits.duration);
  unpack('.limits.job-size', { min: 'o?', max: 'o?' });
  for (const bound of ['min', 'max']) {
    const sizes = unpack(`.limits.job-size.${bound}`, { nnodes: 'i?', ncores: 'i?', ngpus: 'i?' });
    if (Object.values(sizes).some((size) => size !== undefined && size < -1))
      fail(`${shown}.limits.job-size.${bound}`, 'values must be >= -1');
  }
  const access = unpack('.access', { 'allow-user': 'a?', 'allow-group': 'a?' });
  checkStrings(`${shown}.access`, 'allow-user', access['allow-user']);
  checkStrings(`${shown}.access`, 'allow-group', access['allow-group']);
  return queue;
}

/** A virtual queue has its parent's nodes, and is scheduled with it. */
function checkVirtual(queues: JsonObject, name: string, queue: JsonObject, parent: string): void {
  const path = `queues.${name}`;
  if (queue.requires !== undefined) fail(path, "a virtual queue must not set 'requires'");
  if (isObject(queue.policy) && queue.policy.scheduler !== undefined)
    fail(path, "a virtual queue must not set 'policy.scheduler'");
  if (parent === name) fail(path, 'parent queue is itself');
  const above = Object.hasOwn(queues, parent) ? queues[parent] : undefined;
  if (above === undefined) fail(path, `parent queue '${parent}' is not configured`);
  if (isObject(above) && above.parent !== undefined) fail(path, `parent queue '${parent}' is itself a virtual queue`);
}

/**
 * Checks the [policy] and [queues] tables of a configuration.
 *
 * @throws FluxError EINVAL: which table says what it may not
 */
export function checkPolicies(config: JsonObject): void {
  const { queues = {} } = config;
  if (!isObject(queues)) fail('queues', 'it is not a table');
  for (const [name, queue] of Object.entries(queues)) {
    const path = `queues.${name}`;
    if (!isObject(queue)) fail(path, 'it is not a table');
    const { requires, parent } = unpackTable({ queue }, 'queue', { policy: 'o?', requires: 'a?', parent: 's?' }, path);
    if (parent !== undefined) checkVirtual(queues, name, queue, parent);
    checkStrings(path, 'requires', requires, '!&\'"^`|()');
    if (checkPolicy(queue, `${path}.policy`) !== undefined)
      fail(`${path}.policy`, 'a queue cannot have a default queue');
  }
  const defaultQueue = checkPolicy(config, 'policy');
  if (defaultQueue !== undefined && !Object.hasOwn(queues, defaultQueue))
    throw new FluxError(
      'EINVAL',
      `the [policy] config table defines a default queue ${defaultQueue} that is not in [queues] table`,
    );
}
