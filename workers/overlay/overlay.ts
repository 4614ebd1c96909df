/** The module `overlay`: what others may ask of a rank's place in the tree, and what [tbon] of the configuration may say. */

import type { ModuleDefinition } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { parseDuration } from '../../core/formats/duration.ts';
import type { JsonObject } from '../../core/json.ts';
import { unpackTable } from '../../core/message/unpack.ts';
import type { OverlayService } from '../../core/overlay/overlay-service.ts';
import { checkPolicy } from '../../core/overlay/policy.ts';
import type { Ring } from '../router/ring-requests.ts';
import { ringMethods } from './ring-methods.ts';

export function overlayModule(service: OverlayService, ring: Ring): ModuleDefinition {
  return {
    start(context) {
      checkConfig(context.config);
      return { methods: { ...service.methods(), ...ringMethods(context.rank, ring) }, configure: checkConfig };
    },
  };
}

const durations = ['torpid_min', 'torpid_max', 'tcp_user_timeout', 'connect_timeout', 'rewire_timeout'] as const;

function checkConfig(config: JsonObject): void {
  const table = unpackTable(config, 'tbon', {
    topo: 's?',
    torpid_min: 's?',
    torpid_max: 's?',
    tcp_user_timeout: 's?',
    connect_timeout: 's?',
    policy: 's?',
    rewire_timeout: 's?',
    'interface-hint': 's?',
    zmqdebug: 'i?',
    zmq_io_threads: 'i?',
    child_rcvhwm: 'i?',
  });
  if (table.policy !== undefined) checkPolicy(table.policy);
  for (const key of durations) {
    const text = table[key];
    if (text === undefined) continue;
    try {
      parseDuration(text);
    } catch (error) {
      throw new FluxError('EINVAL', `error parsing tbon.${key}: ${(error as Error).message}`);
    }
  }
}
