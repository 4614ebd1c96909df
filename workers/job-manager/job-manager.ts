/** The module `job-manager` of rank 0: it leads each job from its submission to its end. */

import type { ModuleDefinition } from '../../core/broker/service.ts';
import { importPlugin } from '../module-files.ts';
import type { ManagerOptions } from './manager.ts';

/** The module with parts and plugins of one's own. */
export function jobManagerModule(options: Pick<ManagerOptions, 'parts' | 'importPlugin'>): ModuleDefinition {
  return {
    async start(context) {
      const { Manager } = await import('./manager.ts');
      const owner = Number(context.attribute('security.owner') ?? 0);
      const manager = new Manager(context, { ...options, owner });
      await manager.open();
      return manager;
    },
  };
}

/** The module as it comes; what it is made of is read when it is loaded. */
export const jobManager: ModuleDefinition = {
  async start(context, args) {
    const { bundledParts } = await import('./bundled-parts.ts');
    return jobManagerModule({ parts: bundledParts, importPlugin }).start(context, args);
  },
};
