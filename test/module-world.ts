/** A world for a module that runs alone: virtual time, and no programs. */

import type { World } from '../core/broker/module-host.ts';
import { FluxError } from '../core/errno.ts';
import type { Agenda } from './sim/agenda.ts';
import { SeededRandom } from './sim/random.ts';

export function moduleWorld(agenda: Agenda, name: string): World {
  return {
    clock: agenda.clock(name),
    random: new SeededRandom(1),
    rusage: () => ({}) as never,
    spawn: () => {
      throw new FluxError('ENOSYS');
    },
    spawnSoon: () => Promise.reject(new FluxError('ENOSYS')),
  };
}
