/**
 * The plugin `batch`: a script that came in the jobspec (attributes.system.batch), run by an instance of its own. Scripts of
 * `flux batch` come as files of the jobspec and need no such rewriting.
 */

import { FluxError } from '../../../core/errno.ts';
import { systemAttributes } from '../../../core/formats/system-attributes.ts';
import { unpack } from '../../../core/message/unpack.ts';
import { LogLevel, type Shell, type ShellPlugin, type ShellTask } from '../plugin.ts';

export const batchPlugin: ShellPlugin = {
  name: 'batch',
  load(shell) {
    const { batch } = systemAttributes(shell.jobspec);
    if (batch === undefined) return undefined;
    const { script, 'broker-opts': options = [] } = unpack(batch, { script: 's', 'broker-opts': 'a?' });
    let path: string | undefined;
    return {
      async 'shell.init'() {
        path = await writeScript(shell, script);
      },
      'task.init': (task) => rewrite(shell, task, path, options.map(String)),
      destroy() {
        if (path !== undefined) void shell.files.rm(path, { force: true });
      },
    };
  },
};

/** Only the leader's instance runs the script. */
async function writeScript(shell: Shell, script: string): Promise<string | undefined> {
  if (!shell.isLeader) return undefined;
  const folder = shell.getEnv('FLUX_JOB_TMPDIR');
  if (folder === undefined) throw new FluxError('ENOENT', 'FLUX_JOB_TMPDIR not set');
  const path = `${folder}/script`;
  shell.log(LogLevel.debug, `Copying batch script size=${script.length} for job to ${path}`, 'batch');
  await shell.files.writeFile(path, script, { mode: 0o700, flag: 'wx' });
  return path;
}

function rewrite(shell: Shell, task: ShellTask, script: string | undefined, options: readonly string[]): void {
  const { spec } = task;
  const [program = '', subcommand] = spec.argv;
  if (program.replace(/.*\//, '') === 'flux' && (subcommand === 'broker' || subcommand === 'start')) return;
  const command = task.rank === 0 && script !== undefined ? [script, ...spec.argv.slice(1)] : [];
  spec.argv = ['flux', 'broker', ...options, ...command];
  shell.log(LogLevel.debug, `task${task.rank}: re-writing command to ${spec.argv.join(' ')}`, 'batch');
}
