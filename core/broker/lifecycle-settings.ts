/** What attributes say of a broker's life: how many ranks it waits for, and for how long. */

import { FluxError } from '../errno.ts';
import { parseDuration } from '../formats/duration.ts';

/** Attributes with durations, or `none`, and what they are when nobody sets them. */
export const timeoutAttributes = {
  'broker.quorum-warn': '1m',
  'broker.shutdown-warn': '1m',
  'broker.shutdown-timeout': 'none',
  'broker.cleanup-timeout': 'none',
  'broker.sd-stop-timeout': 'none',
  'broker.unload-builtins-timeout': '1m',
} as const;

/** Durations in seconds; undefined: never. */
export interface LifecycleSettings {
  /** Ranks that must be online before the initial program starts. */
  readonly quorumSize: number;
  readonly quorumWarn: number | undefined;
  readonly shutdownWarn: number | undefined;
  readonly shutdown: number | undefined;
  readonly cleanup: number | undefined;
  readonly unloadBuiltins: number | undefined;
}

/**
 * Reads the settings of an instance of `size` ranks.
 *
 * @param get the value of an attribute
 * @throws FluxError EINVAL: one does not parse
 */
export function lifecycleSettings(get: (name: string) => string | undefined, size: number): LifecycleSettings {
  const timeout = (name: keyof typeof timeoutAttributes) => parseTimeout(name, get(name) ?? timeoutAttributes[name]);
  timeout('broker.sd-stop-timeout');
  return {
    quorumSize: parseQuorum(get('broker.quorum'), size),
    quorumWarn: timeout('broker.quorum-warn'),
    shutdownWarn: timeout('broker.shutdown-warn'),
    shutdown: timeout('broker.shutdown-timeout'),
    cleanup: timeout('broker.cleanup-timeout'),
    unloadBuiltins: timeout('broker.unload-builtins-timeout'),
  };
}

function parseTimeout(name: string, text: string): number | undefined {
  if (text === 'none') return undefined;
  try {
    return parseDuration(text);
  } catch (error) {
    throw new FluxError('EINVAL', `Error parsing ${name} attribute: ${(error as Error).message}`);
  }
}

function parseQuorum(text: string | undefined, size: number): number {
  if (text === undefined) return size;
  const quorum = Number(text);
  if (!/^\d+$/.test(text) || quorum < 1 || quorum > size)
    throw new FluxError('EINVAL', `Error parsing broker.quorum attribute: '${text}' is no size between 1 and ${size}`);
  return quorum;
}
