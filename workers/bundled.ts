/** The modules that come with the broker and are loaded by name, here or in a process of their own. */

import type { ModuleDefinition } from '../core/broker/service.ts';
import { barrier } from './barrier/barrier.ts';
import { heartbeat } from './heartbeat/heartbeat.ts';

export const bundledModules: Readonly<Record<string, ModuleDefinition | undefined>> = { barrier, heartbeat };
