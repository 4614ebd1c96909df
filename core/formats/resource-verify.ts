/**
 * Compares what a rank has with what it was expected to have, as brokers do with their own hardware when they start
 * (`[resource.verify]`, flux-config-resource(5)).
 */

import { FluxError } from '../errno.ts';
import { IdSet } from './idset.ts';
import { jsonTypeName } from './jansson.ts';
import { describeResources, isBare, type Resources, subtractResources } from './resource-node.ts';
import type { ResourceSet } from './resource-set.ts';

const modes = ['strict', 'allow-missing', 'allow-extra', 'ignore'] as const;
const subjects = ['hostname', 'core', 'gpu'] as const;

export type VerifyMode = (typeof modes)[number];
export type VerifySubject = (typeof subjects)[number];
export type VerifyModes = { readonly [S in VerifySubject]: VerifyMode };

/** `match`, or `extra` when the rank has more than expected, or `mismatch`, with a sentence that says what differs. */
export interface Verdict {
  readonly verdict: 'match' | 'extra' | 'mismatch';
  readonly text: string;
}

export const strictly: VerifyModes = { hostname: 'strict', core: 'strict', gpu: 'strict' };

/**
 * The modes of a `resource.verify` configuration: true is all strict and false all ignored; a table names a mode for
 * `hostname`, `core`, `gpu`, and `default` for the others. Without configuration all is strict.
 *
 * Throws FluxError EINVAL that names the key which is wrong.
 */
export function parseVerifyModes(config: unknown): VerifyModes {
  if (config === undefined || config === true) return strictly;
  if (config === false) return { hostname: 'ignore', core: 'ignore', gpu: 'ignore' };
  if (jsonTypeName(config) !== 'object') throw new FluxError('EINVAL', 'verify must be a table or boolean');
  const chosen = new Map<string, VerifyMode>();
  for (const [key, mode] of Object.entries(config as object)) {
    if (typeof mode !== 'string') throw new FluxError('EINVAL', `verify.${key} mode must be a string`);
    const known = modes.find((name) => name === mode);
    if (!known) throw new FluxError('EINVAL', `verify.${key}: unknown verify mode '${mode}'`);
    if (key !== 'default' && !subjects.some((name) => name === key)) {
      throw new FluxError('EINVAL', `verify: unsupported resource type: ${key}`);
    }
    chosen.set(key, known);
  }
  const modeOf = (subject: VerifySubject) => chosen.get(subject) ?? chosen.get('default') ?? 'strict';
  return { hostname: modeOf('hostname'), core: modeOf('core'), gpu: modeOf('gpu') };
}

/** Compares the one rank of `actual` with the same rank of `expected`. */
export function verifyResources(expected: ResourceSet, actual: ResourceSet, modes: VerifyModes = strictly): Verdict {
  const [node, ...more] = actual.nodes;
  if (!node || more.length) return mismatch('Verification supported on single rank only');
  const { rank, hostname = 'unknown' } = node;
  const model = expected.node(rank);
  if (!model) return mismatch(`rank ${rank} not found in expected ranks`);
  if (modes.hostname === 'strict' && node.hostname && model.hostname && node.hostname !== model.hostname) {
    return mismatch(`rank ${rank} got hostname '${hostname}', expected '${model.hostname}'`);
  }
  const missing = lacking(model.resources, node.resources, modes, 'allow-missing');
  if (!isBare(missing)) {
    return mismatch(`rank ${rank} (${hostname}) missing resources: ${describeResources(missing)}`);
  }
  const extra = lacking(node.resources, model.resources, modes, 'allow-extra');
  if (isBare(extra)) return { verdict: 'match', text: '' };
  return { verdict: 'extra', text: `rank ${rank} (${hostname}) has extra resources: ${describeResources(extra)}` };
}

function mismatch(text: string): Verdict {
  return { verdict: 'mismatch', text };
}

/** What `a` has and `b` lacks, but for the types whose mode lets that pass. */
function lacking(a: Resources, b: Resources, modes: VerifyModes, allowed: VerifyMode): Resources {
  const rest = subtractResources(a, b);
  for (const type of ['core', 'gpu'] as const) {
    if (modes[type] === 'ignore' || modes[type] === allowed) rest.replace(type, IdSet.empty);
  }
  return rest;
}
