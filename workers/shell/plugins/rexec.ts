/**
 * The plugin `rexec`: programs beside the tasks, where the job runs and as long as it does (RFC 42), by requests
 * `<service>.rexec.<method>`.
 */

import type { Service } from '../../../core/broker/service.ts';
import type { Method } from '../../../core/handle/methods.ts';
import { type RexecThread, rexecModule } from '../../rexec/rexec.ts';
import type { Shell, ShellPlugin } from '../plugin.ts';

const methods = ['exec', 'write', 'kill', 'wait', 'attach', 'list'];

/** @param thread what the programs share with others of the thread */
export function rexecPlugin(thread: RexecThread): ShellPlugin {
  return {
    name: 'rexec',
    load(shell) {
      // Made when first asked for: most jobs run their tasks alone.
      let rexec: Service | undefined;
      const answer =
        (method: string): Method['handler'] =>
        async (request) => {
          rexec ??= await start(shell, thread);
          return rexec.methods![method]!.handler(request);
        };
      return {
        'shell.init'() {
          for (const method of methods) shell.register(`rexec.${method}`, { handler: answer(method) });
          shell.register('disconnect', {
            handler: (request) => rexec?.methods?.disconnect?.handler(request),
          });
        },
        'shell.finish'() {
          if (rexec) void end(shell, rexec);
        },
      };
    },
  };
}

async function start(shell: Shell, thread: RexecThread): Promise<Service> {
  return rexecModule(() => ({
    environment: async () => shell.environment(),
    localUri: async () => shell.getEnv('FLUX_URI') ?? '',
    thread,
  })).start(shell.context, []);
}

/** The programs are told to end, and the shell waits for that. */
async function end(shell: Shell, rexec: Service): Promise<void> {
  const leave = shell.hold();
  await rexec.stop?.();
  leave();
}
