/**
 * The plugin `pmi-simple`: the server of the PMI-1 wire protocol (RFC 13) for the tasks. What tasks put is exchanged among the
 * shells when all are in a barrier, up and down a tree.
 */

import path from 'node:path';
import { asFluxError, FluxError } from '../../../core/errno.ts';
import { encodeFluid } from '../../../core/formats/fluid.ts';
import { unpack } from '../../../core/message/unpack.ts';
import { PmiServer } from '../../../core/pmi/simple-server.ts';
import { PmiLines, pmiMaxes } from '../../../core/pmi/wire.ts';
import { pmiLibraryPath } from '../../../native/index.ts';
import { LogLevel, type Shell, type ShellPlugin, type ShellTask } from '../plugin.ts';
import { PmiExchange } from './pmi-exchange.ts';
import { prependPath } from './search-path.ts';

const NAME = 'pmi-simple';
/** Names of the option `pmi` that mean this plugin. */
const aliases = ['simple', 'pmi2', 'pmi1'];
const DEFAULT_FANOUT = 2;

export const pmiPlugin: ShellPlugin = {
  name: NAME,
  load(shell) {
    let pmi: Pmi | undefined;
    return {
      'shell.init'() {
        if (isWanted(shell)) pmi = new Pmi(shell);
      },
      'task.init': (task) => pmi?.add(task),
      destroy: () => pmi?.end(),
    };
  },
};

/** It is on unless the option names others alone. */
function isWanted(shell: Shell): boolean {
  const option = shell.option('pmi');
  if (option === undefined) {
    shell.log(LogLevel.debug, 'simple wire protocol is enabled', NAME);
    return true;
  }
  if (typeof option !== 'string') throw new FluxError('EINVAL', 'pmi shell option must be a string');
  const alias = aliases.find((name) => option.split(',').includes(name));
  if (alias === undefined) return false;
  if (alias !== 'simple') shell.log(LogLevel.debug, `${alias} is interpreted as an alias for simple`, NAME);
  shell.log(LogLevel.debug, 'simple wire protocol is enabled', NAME);
  return true;
}

interface PmiOptions {
  readonly fanout: number;
  readonly hasMap: boolean;
}

function readOptions(shell: Shell): PmiOptions {
  const option = shell.option(NAME) ?? {};
  try {
    const { kvs = 'exchange', exchange, nomap = 0 } = unpack(option, { kvs: 's?', exchange: 'o?', nomap: 'i?' });
    if (kvs !== 'exchange') throw new FluxError('EINVAL', `Unknown kvs implementation ${kvs}`);
    const { k = 0 } = exchange ? unpack(exchange, { k: 'i?' }) : {};
    return { fanout: k > 0 ? Math.min(k, shell.size) : DEFAULT_FANOUT, hasMap: nomap === 0 };
  } catch (error) {
    throw new FluxError('EINVAL', `option error: ${asFluxError(error).message}`);
  }
}

class Pmi {
  readonly #shell: Shell;
  readonly #server: PmiServer;
  readonly #channels = new Map<number, { readonly task: ShellTask; readonly descriptor: number }>();
  #isAborted = false;

  constructor(shell: Shell) {
    this.#shell = shell;
    const { fanout, hasMap } = readOptions(shell);
    const exchange = shell.size > 1 ? new PmiExchange(shell, fanout) : undefined;
    this.#server = new PmiServer({
      // An instance that is a job has it as its name.
      name: encodeFluid(shell.jobid, 'f58'),
      size: shell.taskCount,
      localSize: shell.node.taskids.count,
      values: initialValues(shell, hasMap),
      ...(exchange && { exchange: (pending) => exchange.run(pending) }),
      send: (rank, line) => this.#send(rank, line),
      abort: (_rank, _exitCode, message) => this.#abort(message),
    });
  }

  add(task: ShellTask): void {
    const lines = new PmiLines();
    const descriptor = task.addChannel((bytes) => {
      if (bytes) this.#receive(task, lines, bytes);
    });
    this.#channels.set(task.rank, { task, descriptor });
    task.setEnv('PMI_FD', String(descriptor));
    task.setEnv('PMI_RANK', String(task.rank));
    task.setEnv('PMI_SIZE', String(this.#shell.taskCount));
    const library = pmiLibraryPath();
    if (library === undefined) return;
    // Before those of other resource managers, which are where systems look.
    prependPath(task, 'LD_LIBRARY_PATH', path.dirname(library));
    // Open MPI before version 5 opens what this names.
    task.setEnv('FLUX_PMI_LIBRARY_PATH', library);
  }

  #receive(task: ShellTask, lines: PmiLines, bytes: Buffer): void {
    try {
      for (const line of lines.take(bytes.toString())) {
        this.#shell.log(LogLevel.trace, `${task.rank}: C: ${line}`, NAME);
        this.#server.receive(task.rank, line);
      }
    } catch (error) {
      // Tasks that are being killed may say anything.
      if (!this.#isAborted) this.#shell.fail(1, `PMI-1 wire protocol error: ${asFluxError(error).message}`);
    }
  }

  #send(rank: number, line: string): void {
    const channel = this.#channels.get(rank);
    this.#shell.log(LogLevel.trace, `${rank}: S: ${line.trimEnd()}`, NAME);
    // Answers are short, and a task asks one thing at a time: the channel has room for one.
    if (channel?.task.isRunning) channel.task.process?.write(channel.descriptor, Buffer.from(line));
  }

  #abort(message: string): void {
    this.#isAborted = true;
    this.#shell.raise('exec', 0, `PMI_Abort${message ? `: ${message}` : ''}`);
  }

  end(): void {
    this.#channels.clear();
  }
}

/** Keys that tasks find without anybody's having put them. */
function initialValues(shell: Shell, hasMap: boolean): Record<string, string> {
  const values: Record<string, string> = {};
  const level = Number(shell.context.attribute('instance-level'));
  if (Number.isInteger(level)) values['flux.instance-level'] = String(level + 1);
  const hint = shell.context.attribute('tbon.interface-hint');
  if (hint !== undefined) values['flux.tbon-interface-hint'] = hint;
  if (!hasMap) return values;
  const clique = shell.taskmap.encode('pmi');
  if (clique.length < pmiMaxes.value) values.PMI_process_mapping = clique;
  else if (shell.isLeader) shell.log(LogLevel.warn, 'PMI_process_mapping overflows PMI max value.', NAME);
  const map = shell.taskmap.encode('wrapped');
  if (map.length < pmiMaxes.value) values['flux.taskmap'] = map;
  return values;
}
