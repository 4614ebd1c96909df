/** The module `overlay`: what others may ask of a rank's place in the tree, and what [tbon] of the configuration may say. */

import type { ModuleDefinition } from '../../core/broker/service.ts';
import type { OverlayService } from '../../core/overlay/overlay-service.ts';
import { checkTbonConfig } from '../../core/overlay/tbon-config.ts';
import type { Ring } from '../router/ring-requests.ts';
import { ringMethods } from './ring-methods.ts';

export function overlayModule(service: OverlayService, ring: Ring): ModuleDefinition {
  return {
    start(context) {
      checkTbonConfig(context.config);
      return { methods: { ...service.methods(), ...ringMethods(context.rank, ring) }, configure: checkTbonConfig };
    },
  };
}
