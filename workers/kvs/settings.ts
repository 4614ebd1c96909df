/** The [kvs] table of the configuration, and the arguments of the module. */

import { FluxError } from '../../core/errno.ts';
import { isBlobref } from '../../core/formats/blobref.ts';
import { parseDuration } from '../../core/formats/duration.ts';
import type { JsonObject } from '../../core/json.ts';
import { unpackTable } from '../../core/message/unpack.ts';

export interface Settings {
  /** Seconds between two checkpoints; 0: none but at the end. */
  readonly checkpointPeriod: number;
  /** Entries of a directory beyond which it is stored in parts; 0: none ever is. */
  readonly maxdirent: number;
  /** Whether what is garbage is told to the backing store. */
  readonly collects: boolean;
  /** Seconds for which garbage stays. */
  readonly grace: number;
}

const MAXDIRENT_DEFAULT = 256;
const MAXDIRENT_MIN = 16;
const GRACE_DEFAULT = '1m';

/** @throws FluxError EINVAL: a key that is not known or has a wrong value */
export function kvsSettings(config: JsonObject): Settings {
  // gc-threshold is for those who end the instance.
  const table = unpackTable(config, 'kvs', {
    'checkpoint-period': 's?',
    'gc-threshold': 'i?',
    maxdirent: 'i?',
    gc: 'b?',
    'gc-grace': 's?',
  });
  const maxdirent = table.maxdirent ?? MAXDIRENT_DEFAULT;
  if (maxdirent !== 0 && maxdirent < MAXDIRENT_MIN)
    throw new FluxError('EINVAL', `kvs.maxdirent must be 0, for never, or at least ${MAXDIRENT_MIN}`);
  const checkpointPeriod = duration('checkpoint-period', table['checkpoint-period'] ?? '0');
  const grace = duration('gc-grace', table['gc-grace'] ?? GRACE_DEFAULT);
  return {
    checkpointPeriod: Number.isFinite(checkpointPeriod) ? checkpointPeriod : 0,
    maxdirent,
    collects: (table.gc ?? true) && Number.isFinite(grace),
    grace,
  };
}

function duration(key: string, text: string): number {
  try {
    return parseDuration(text);
  } catch {
    throw new FluxError('EINVAL', `invalid ${key} config: ${text}`);
  }
}

export interface Arguments {
  /** The root to begin with, instead of that of a checkpoint. */
  readonly initialRootref: string | undefined;
  /** Whether transactions that wait are committed as one. */
  readonly merges: boolean;
}

/** @throws FluxError EINVAL: an argument that is not known or has a wrong value */
export function kvsArguments(args: readonly string[]): Arguments {
  let initialRootref: string | undefined;
  let merges = true;
  for (const arg of args) {
    const [, name, value = ''] = /^([^=]*)=(.*)$/.exec(arg) ?? [];
    if (name === 'initial-rootref' && isBlobref(value)) initialRootref = value;
    else if (name === 'transaction-merge' && /^\d+$/.test(value)) merges = Number(value) !== 0;
    else throw new FluxError('EINVAL', `${arg}: unknown option, or a wrong value`);
  }
  return { initialRootref, merges };
}
