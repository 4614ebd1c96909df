/** What the commands of `flux kvs` share: their options, and how they say what they are about. */

import type { Command } from 'commander';
import { about, asFluxError, errno, FluxError } from '../core/errno.ts';
import { type JsonValue, parseJson } from '../core/json.ts';

export interface NamespaceOption {
  namespace?: string;
}

export function namespaceOption(command: Command): Command {
  return command.option('-N, --namespace <NAME>', 'The namespace; by default FLUX_KVS_NAMESPACE, or primary.');
}

export interface AtOption {
  at?: JsonValue;
}

export function atOption(command: Command): Command {
  return command.option('-a, --at <TREEOBJ>', 'Look below this dirref, that of an old root for example.', parseAt);
}

function parseAt(text: string): JsonValue {
  try {
    return parseJson(text);
  } catch {
    throw new FluxError('EINVAL', `--at: '${text}' is not a tree object`);
  }
}

/** An error with what it is about; what has no words of its own and can only mean an unknown namespace says so. */
export function aboutKvs(what: string, namespace: string, error: unknown): FluxError {
  const { errno: number, detail } = asFluxError(error);
  if (number !== errno.EOPNOTSUPP || detail !== undefined) return about(what, error);
  return new FluxError(number, `${what}: Operation not supported: is there a namespace '${namespace}'?`);
}
