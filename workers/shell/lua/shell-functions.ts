/** What the table `shell` of Lua files does: the job's description, its options and its environment, and what is told. */

import { FluxError } from '../../../core/errno.ts';
import type { JsonObject, JsonValue } from '../../../core/json.ts';
import { shellOptions } from '../options.ts';
import { LogLevel, type Shell } from '../plugin.ts';
import { prependPath } from '../plugins/search-path.ts';
import { overwrites, textArgument } from './arguments.ts';
import type { HostFunctions } from './state.ts';

const logLevels: Readonly<Record<string, LogLevel>> = {
  notice: LogLevel.notice,
  debug: LogLevel.debug,
  error: LogLevel.error,
};

/** @param stop has Lua do nothing any more */
export function shellFunctions(shell: Shell, stop: () => void): HostFunctions {
  return {
    info: () => describeJob(shell),
    rankInfo: (rank) => describeNode(shell, typeof rank === 'number' ? rank : shell.rank) ?? null,
    option: (name) => option(shell, textArgument(name, 'an option')),
    setOption(name, value) {
      shell.setOption(textArgument(name, 'an option'), value ?? undefined);
    },
    isVerbose: () => shell.verbosity > 0,
    setVerbose(level) {
      if (typeof level !== 'number' && typeof level !== 'boolean')
        throw new FluxError('EINVAL', 'invalid assignment to shell.verbose');
      shell.setOption('verbose', Number(level));
    },
    getEnv: (...names) =>
      names.length === 0 ? { ...shell.environment() } : (shell.getEnv(textArgument(names[0], 'a variable')) ?? null),
    setEnv(name, value, overwrite) {
      const variable = textArgument(name, 'a variable');
      const text = textArgument(value, variable);
      if (overwrites(overwrite) || shell.getEnv(variable) === undefined) shell.setEnv(variable, text);
      return true;
    },
    unsetEnv(name) {
      shell.setEnv(textArgument(name, 'a variable'), undefined);
      return true;
    },
    prependPath(name, path) {
      const variable = textArgument(name, 'a variable');
      const folder = textArgument(path, variable);
      if (!shell.getEnv(variable)?.split(':').includes(folder)) prependPath(shell, variable, folder);
    },
    log(level, message) {
      shell.log(logLevels[textArgument(level, 'a level')] ?? LogLevel.notice, textArgument(message, 'a message'));
    },
    die(message) {
      shell.fail(1, textArgument(message, 'a message'));
      stop();
    },
  };
}

/** `verbose` is there whether or not the job sets it. */
function option(shell: Shell, name: string): JsonValue {
  return name === 'verbose' ? shell.verbosity : (shell.option(name) ?? null);
}

function describeJob(shell: Shell): JsonObject {
  return {
    // As text: Lua has all 64 bits of it, JavaScript's numbers have not.
    jobid: String(shell.jobid),
    instance_owner: shell.owner,
    rank: shell.rank,
    size: shell.size,
    ntasks: shell.taskCount,
    service: shell.service,
    options: { ...shellOptions(shell.jobspec), verbose: shell.verbosity },
    jobspec: shell.jobspec,
    R: shell.R,
  };
}

function describeNode(shell: Shell, rank: number): JsonObject | undefined {
  const node = shell.nodes[rank];
  return (
    node && {
      id: node.id,
      name: node.hostname,
      broker_rank: node.brokerRank,
      ntasks: node.taskids.count,
      taskids: node.taskids.encode(),
      resources: {
        ncores: node.cores.count,
        cores: node.cores.encode(),
        ...(node.gpus.count > 0 && { gpus: node.gpus.encode() }),
      },
    }
  );
}
