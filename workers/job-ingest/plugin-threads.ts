/**
 * Threads for plugins in files, of their own, so that a plugin that throws, loops or fills the memory harms nobody but the
 * job it was asked about.
 */

import type { PluginCall, PluginOutcome } from '../../core/handle/ingest-plugin.ts';

export interface PluginThreads {
  /** Threads that there are now. */
  readonly running: number;
  /**
   * Calls a plugin; never rejects.
   *
   * @param signal ends the call, and the thread that it runs on
   */
  call(call: PluginCall, signal: AbortSignal): Promise<PluginOutcome>;
}
