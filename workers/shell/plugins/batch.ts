/**
 * `attributes.system.batch` of a jobspec, as it was before scripts were files of the job: a `script` that an instance of
 * its own runs, and `broker-opts` for its brokers. The command is then the script's name and its arguments.
 */

import { asFluxError, FluxError } from '../../../core/errno.ts';
import type { JsonValue } from '../../../core/json.ts';
import { isObject } from '../../../core/message/unpack.ts';
import { LogLevel, type Shell, type ShellPlugin } from '../plugin.ts';

const name = 'batch';

export interface Batch {
  readonly script: string;
  readonly brokerOptions: readonly string[];
}

export const batchPlugin: ShellPlugin = {
  name,
  load(shell) {
    const { attributes } = shell.jobspec;
    const system = isObject(attributes) ? attributes.system : undefined;
    const value = isObject(system) ? system.batch : undefined;
    if (value === undefined) return undefined;
    const batch = parseBatch(value);
    let file = '';
    return {
      async 'shell.init'() {
        file = await writeScript(shell, batch);
      },
      'task.init'(task) {
        if (isInstance(task.spec.argv)) return;
        const script = task.rank === 0 ? [file, ...task.spec.argv.slice(1)] : [];
        task.spec.argv = ['flux', 'broker', ...batch.brokerOptions, ...script];
        shell.log(LogLevel.debug, `task${task.rank}: re-writing command to ${task.spec.argv.join(' ')}`, name);
      },
    };
  },
};

/** @throws FluxError EINVAL: no object, no script, options that are no list of texts */
export function parseBatch(value: JsonValue): Batch {
  const { script, 'broker-opts': options = [] } = isObject(value) ? value : {};
  if (typeof script !== 'string') throw new FluxError('EINVAL', 'failed to unpack batch info: it has no script');
  if (!Array.isArray(options)) throw new FluxError('EINVAL', 'batch.broker-opts attribute must be an array');
  return { script, brokerOptions: options.filter((option): option is string => typeof option === 'string') };
}

/** The leader's task runs it; it goes with the folder of the job. */
async function writeScript(shell: Shell, { script }: Batch): Promise<string> {
  const folder = shell.getEnv('FLUX_JOB_TMPDIR');
  if (folder === undefined) throw new FluxError('ENOENT', 'FLUX_JOB_TMPDIR not set');
  const file = `${folder}/script`;
  if (!shell.isLeader) return file;
  shell.log(LogLevel.debug, `Copying batch script size=${Buffer.byteLength(script)} for job to ${file}`, name);
  try {
    await shell.files.writeFile(file, script, { flag: 'wx', mode: 0o700 });
  } catch (error) {
    throw new FluxError(asFluxError(error).errno, `failed to write batch script: ${asFluxError(error).message}`);
  }
  return file;
}

/** Whether a command starts an instance by itself. */
function isInstance([program = '', subcommand]: readonly string[]): boolean {
  return program.replace(/^.*\//, '') === 'flux' && (subcommand === 'broker' || subcommand === 'start');
}
