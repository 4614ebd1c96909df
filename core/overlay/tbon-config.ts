/** [tbon] of the configuration: what it may have. */

import { FluxError } from '../errno.ts';
import { parseDuration } from '../formats/duration.ts';
import type { JsonObject } from '../json.ts';
import { unpackTable } from '../message/unpack.ts';
import { checkPolicy } from './policy.ts';

/** Keys that are durations, and attributes `tbon.KEY` that always are there. */
export const tbonDurations = ['torpid_min', 'torpid_max', 'tcp_user_timeout', 'connect_timeout'] as const;

/** @throws FluxError EINVAL: what is wrong with the table */
export function checkTbonConfig(config: JsonObject): void {
  const table = unpackTable(config, 'tbon', {
    topo: 's?',
    torpid_min: 's?',
    torpid_max: 's?',
    tcp_user_timeout: 's?',
    connect_timeout: 's?',
    policy: 's?',
    rewire_timeout: 's?',
    'interface-hint': 's?',
    prefertcp: 'i?',
    zmqdebug: 'i?',
    zmq_io_threads: 'i?',
    child_rcvhwm: 'i?',
  });
  if (table.policy !== undefined) checkPolicy(table.policy);
  for (const key of [...tbonDurations, 'rewire_timeout'] as const) {
    const text = table[key];
    if (text === undefined) continue;
    try {
      parseDuration(text);
    } catch (error) {
      throw new FluxError('EINVAL', `error parsing tbon.${key}: ${(error as Error).message}`);
    }
  }
}
