/** The entry of the threads that run plugins in files. */

import { callPlugin, type PluginCall, type PluginOutcome } from '../../core/handle/ingest-plugin.ts';

export default function run(call: PluginCall): Promise<PluginOutcome> {
  return callPlugin(call, (url) => import(url));
}
