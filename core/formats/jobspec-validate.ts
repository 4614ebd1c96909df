/**
 * Whether a jobspec is one: the rules of RFC 14 for all versions, and those of version 1 (RFC 25), as far as Flux's own
 * validator holds submitters to them. It lets pass empty lists of resources and tasks, types it does not know, and
 * negative durations.
 */

import { FluxError } from '../errno.ts';
import { type JsonObject, type JsonValue, Real } from '../json.ts';
import { isObject } from '../message/unpack.ts';
import { compileConstraint } from './constraint.ts';
import { Hostlist } from './hostlist.ts';

/** Types of which a job wants one at least. */
const positiveTypes = ['node', 'slot', 'core'];

/**
 * Checks a jobspec of version 1.
 *
 * @throws FluxError EINVAL: what is wrong, and where
 */
export function validateJobspec(jobspec: JsonValue): void {
  const members = objectAt('the jobspec', jobspec);
  exactKeys('the jobspec', members, ['resources', 'tasks', 'attributes', 'version']);
  if (members.version !== 1) throw invalid('version must be 1');
  const tasks = arrayAt('tasks', members.tasks);
  const attributes = objectAt('attributes', members.attributes);
  for (const [index, resource] of arrayAt('resources', members.resources).entries())
    checkResource(`resources[${index}]`, resource);
  for (const [index, task] of tasks.entries()) checkTask(`tasks[${index}]`, task);
  checkAttributes(attributes);
}

/** The hosts that the constraints of a valid jobspec name. */
export function constrainedHosts(jobspec: JsonValue): Hostlist[] {
  const system = isObject(jobspec) && isObject(jobspec.attributes) ? jobspec.attributes.system : undefined;
  return isObject(system) && system.constraints !== undefined ? hostsIn(system.constraints) : [];
}

function hostsIn(constraint: JsonValue): Hostlist[] {
  if (!isObject(constraint)) return [];
  return Object.entries(constraint).flatMap(([operator, values]) => {
    if (!Array.isArray(values)) return [];
    if (operator === 'hostlist') return values.map((value) => Hostlist.parse(String(value)));
    return ['and', 'or', 'not'].includes(operator) ? values.flatMap(hostsIn) : [];
  });
}

// ---- parts

function checkResource(where: string, value: JsonValue): void {
  const resource = objectAt(where, value);
  const type = stringAt(`${where}.type`, resource.type);
  const { count, label, exclusive, with: children } = resource;
  if (count === undefined) throw invalid(`${where}.count is a required key`);
  const least = positiveTypes.includes(type) ? 1 : 0;
  if (integerAt(`${where}.count`, count) < least) throw invalid(`${where}.count must be at least ${least}`);
  for (const key of ['id', 'unit', 'label'])
    if (resource[key] !== undefined) stringAt(`${where}.${key}`, resource[key]);
  if (exclusive !== undefined && typeof exclusive !== 'boolean')
    throw invalid(`${where}.exclusive must be true or false`);
  if (type === 'slot' && label === undefined) throw invalid(`${where}.label is a required key of slots`);
  if (children === undefined) return;
  for (const [index, child] of arrayAt(`${where}.with`, children).entries())
    checkResource(`${where}.with[${index}]`, child);
}

function checkTask(where: string, value: JsonValue): void {
  const task = objectAt(where, value);
  requireKeys(where, task, ['command', 'slot', 'count']);
  const command = arrayAt(`${where}.command`, task.command);
  if (command.length === 0) throw invalid(`${where}.command must not be empty`);
  for (const word of command) stringAt(`${where}.command`, word);
  stringAt(`${where}.slot`, task.slot);
  if (task.attributes !== undefined) objectAt(`${where}.attributes`, task.attributes);
  checkTaskCount(`${where}.count`, objectAt(`${where}.count`, task.count));
}

function checkTaskCount(where: string, count: JsonObject): void {
  const [key, ...more] = Object.keys(count);
  if (more.length || (key !== 'per_slot' && key !== 'total'))
    throw invalid(`${where} must have one key, per_slot or total`);
  if (integerAt(`${where}.${key}`, count[key]) < 1) throw invalid(`${where}.${key} must be at least 1`);
}

function checkAttributes(attributes: JsonObject): void {
  onlyKeys('attributes', attributes, ['system', 'user']);
  if (attributes.system === undefined) throw invalid('attributes.system is a required key');
  const system = objectAt('attributes.system', attributes.system);
  const { duration, dependencies, constraints } = system;
  if (duration === undefined) throw invalid('attributes.system.duration is a required key');
  if (typeof duration !== 'number' && typeof duration !== 'bigint' && !(duration instanceof Real))
    throw invalid('attributes.system.duration must be a number');
  if (dependencies !== undefined) {
    for (const [index, value] of arrayAt('attributes.system.dependencies', dependencies).entries()) {
      const where = `attributes.system.dependencies[${index}]`;
      const dependency = objectAt(where, value);
      for (const key of ['scheme', 'value']) stringAt(`${where}.${key}`, dependency[key]);
    }
  }
  if (constraints !== undefined) compileConstraint(constraints);
}

// ---- kinds

function invalid(sentence: string): FluxError {
  return new FluxError('EINVAL', sentence);
}

function objectAt(where: string, value: JsonValue | undefined): JsonObject {
  if (!isObject(value)) throw invalid(`${where} must be an object`);
  return value;
}

function arrayAt(where: string, value: JsonValue | undefined): readonly JsonValue[] {
  if (!Array.isArray(value)) throw invalid(`${where} must be an array`);
  return value;
}

function stringAt(where: string, value: JsonValue | undefined): string {
  if (value === undefined) throw invalid(`${where} is a required key`);
  if (typeof value !== 'string') throw invalid(`${where} must be a string`);
  return value;
}

function integerAt(where: string, value: JsonValue | undefined): number {
  if (typeof value !== 'bigint' && !Number.isInteger(value)) throw invalid(`${where} must be an integer`);
  return Number(value);
}

function requireKeys(where: string, members: JsonObject, keys: readonly string[]): void {
  const missing = keys.find((key) => members[key] === undefined);
  if (missing !== undefined) throw invalid(`${where}: the key ${missing} is missing`);
}

function onlyKeys(where: string, members: JsonObject, keys: readonly string[]): void {
  const extra = Object.keys(members).find((key) => !keys.includes(key));
  if (extra !== undefined) throw invalid(`${where}: the key ${extra} has no place there`);
}

function exactKeys(where: string, members: JsonObject, keys: readonly string[]): void {
  requireKeys(where, members, keys);
  onlyKeys(where, members, keys);
}
