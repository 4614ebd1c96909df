/** The module `overlay`: what others may ask of a rank's place in the tree, and what [tbon] of the configuration may say. */

import type { ModuleDefinition } from '../../core/broker/service.ts';
import type { Overlay } from '../../core/overlay/overlay.ts';
import { checkTbonConfig } from '../../core/overlay/tbon-config.ts';

export function overlayModule(overlay: Overlay): ModuleDefinition {
  return {
    start(context) {
      checkTbonConfig(context.config);
      return { methods: overlay.methods(), configure: checkTbonConfig };
    },
  };
}
