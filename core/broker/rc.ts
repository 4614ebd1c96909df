/**
 * The programs that a broker runs at points of its life: rc1 when it starts, rc2 (the initial program, rank 0 only) while
 * it runs, cleanup after that, rc3 at the end. Commands pushed last run first; the first failure is the exit code.
 *
 * They are processes of the service `rexec` on the same rank, labelled with the name of their point.
 */

import { FluxError } from '../errno.ts';
import { signalText } from '../formats/signal.ts';
import { exitCodeOf, signalOf } from '../formats/wait-status.ts';
import { ExecFlag, execRequest, LocalExecFlag, RemoteProcess } from '../handle/remote-process.ts';
import type { Broker } from './broker.ts';

/** A program. */
export interface RcCommand {
  readonly argv: readonly string[];
  /** Leave stdin, stdout and stderr as the broker has them, instead of logging the output. */
  readonly passThrough: boolean;
  /** A shell that a person types into. */
  readonly interactive?: boolean;
  /** Stay in the broker's process group. */
  readonly sameGroup?: boolean;
  /** How log lines call it; `argv` joined when absent. */
  readonly text?: string;
}

/** What the broker does by itself, without a program. */
type Internal = () => Promise<void>;

interface Entry {
  commands: (RcCommand | Internal)[];
  pushed: number;
  exitCode: number;
  aborted: boolean;
  /** The command that is run now. */
  process: RemoteProcess | undefined;
  /** Gives up what the broker does by itself now. */
  giveUp?: () => void;
}

/** Variables of the broker's environment that its programs must not see: they speak of what launched the broker. */
const hidden = [
  'FLUX_JOB_ID',
  'FLUX_ENCLOSING_ID',
  'FLUX_JOB_SIZE',
  'FLUX_JOB_NNODES',
  'FLUX_JOB_TMPDIR',
  'FLUX_TASK_RANK',
  'FLUX_TASK_LOCAL_ID',
  'FLUX_URI',
  'FLUX_KVS_NAMESPACE',
  'FLUX_PROXY_REMOTE',
  'FLUX_PMI_LIBRARY_PATH',
  'I_MPI_PMI_LIBRARY',
  'NOTIFY_SOCKET',
];
const hiddenFamily = /^(PMI|PMIX|SLURM|PALS)_/;

const ABORT_SIGNAL = 1;
/** What a command exits with that was hung up on. */
const ABORTED = 128 + ABORT_SIGNAL;
/** Exit codes of commands that can't be started, as shells have them. */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;

export class RcPrograms {
  readonly #broker: Broker;
  readonly #environment: () => Readonly<Record<string, string>>;
  readonly #workingDirectory: string;
  readonly #entries = new Map<string, Entry>();

  /** `environment` is the broker's own, now. */
  constructor(broker: Broker, environment: () => Readonly<Record<string, string>>, workingDirectory: string) {
    this.#broker = broker;
    this.#environment = environment;
    this.#workingDirectory = workingDirectory;
  }

  push(name: string, command: RcCommand): void {
    this.#push(name, command);
  }

  /** Adds something that the broker does by itself; it fails by throwing. */
  pushInternal(name: string, action: Internal): void {
    this.#push(name, action);
  }

  #push(name: string, command: RcCommand | Internal): void {
    const entry = this.#entries.get(name);
    if (entry) {
      entry.commands.unshift(command);
      entry.pushed++;
    } else this.#entries.set(name, { commands: [command], pushed: 1, exitCode: 0, aborted: false, process: undefined });
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  isInteractive(name: string): boolean {
    return (
      this.#entries.get(name)?.commands.some((command) => typeof command !== 'function' && command.interactive) ?? false
    );
  }

  /** Runs the commands of a point one after the other and resolves to the exit code. */
  async run(name: string): Promise<number> {
    const entry = this.#entries.get(name);
    if (!entry) return 0;
    for (let command = entry.commands.shift(); command && !entry.aborted; command = entry.commands.shift()) {
      const index = entry.pushed - entry.commands.length - 1;
      const code =
        typeof command === 'function'
          ? await this.#runInternal(name, command, entry)
          : await this.#runOne(name, index, command, entry);
      if (code && entry.exitCode === 0) entry.exitCode = code;
    }
    return entry.exitCode;
  }

  /** Ends a point: hangs up on the command that runs and starts no other. */
  abort(name: string): void {
    const entry = this.#entries.get(name);
    if (!entry) return;
    entry.aborted = true;
    if (entry.process?.state === 'running') this.#hangUp(entry.process);
    entry.giveUp?.();
  }

  #hangUp(process: RemoteProcess): void {
    process.kill(ABORT_SIGNAL).catch((error: FluxError) => {
      if (error.code !== 'ESRCH') this.#broker.log('err', `kill ${process.pid}: ${error.message}`);
    });
  }

  async #runInternal(name: string, action: Internal, entry: Entry): Promise<number> {
    const aborted = new Promise<never>((_, reject) => {
      entry.giveUp = () => reject(new FluxError('ECANCELED', 'aborted'));
    });
    try {
      await Promise.race([action(), aborted]);
      return 0;
    } catch (error) {
      this.#broker.log('err', `${name}: ${(error as Error).message}`);
      return entry.aborted ? ABORTED : 1;
    } finally {
      delete entry.giveUp;
    }
  }

  async #runOne(name: string, index: number, command: RcCommand, entry: Entry): Promise<number> {
    const { clock } = this.#broker.world;
    const start = clock.monotonic();
    let [code, what] = await this.#execute(name, index, command, entry);
    if (code === 0 && entry.aborted) [code, what] = [1, 'aborted after exit with rc=0'];
    const text = command.text ?? command.argv.join(' ');
    this.#broker.log(
      code ? 'err' : 'info',
      `${name}.${index}: ${text} ${what} (rc=${code}) ${(clock.monotonic() - start).toFixed(1)}s`,
    );
    return code;
  }

  async #execute(name: string, index: number, command: RcCommand, entry: Entry): Promise<[number, string]> {
    const program = {
      cwd: this.#workingDirectory,
      label: name,
      cmdline: command.argv,
      env: this.#programEnvironment(),
      opts: {},
    };
    const flags = command.passThrough ? 0 : ExecFlag.stdout | ExecFlag.stderr;
    const localFlags =
      (command.passThrough ? LocalExecFlag.passThrough : 0) | (command.sameGroup ? LocalExecFlag.sameGroup : 0);
    const lines = new LineSplitter((stream, line) =>
      this.#broker.log(stream === 'stderr' ? 'err' : 'info', `${name}.${index}: ${line}`),
    );
    const request = execRequest(program, flags, localFlags);
    const process = RemoteProcess.start(this.#broker, 'rexec', this.#broker.rank, request, {
      output: (_, stream, data) => lines.add(stream, data.toString()),
      changed: (process) => process.state === 'running' && entry.aborted && this.#hangUp(process),
      credit: () => {},
    });
    entry.process = process;
    await process.ended;
    entry.process = undefined;
    lines.end();
    const { status, error } = process;
    if (error) return [error.code === 'ENOENT' ? NOT_FOUND : NOT_EXECUTABLE, error.message];
    const signal = signalOf(status);
    return [exitCodeOf(status), signal ? signalText(signal) : 'Exited'];
  }

  #programEnvironment(): Record<string, string> {
    const environment = Object.fromEntries(
      Object.entries(this.#environment()).filter(([name]) => !hidden.includes(name) && !hiddenFamily.test(name)),
    );
    const jobid = this.#broker.attributes.get('jobid');
    if (jobid) environment.FLUX_ENCLOSING_ID = jobid;
    return environment;
  }
}

/** Cuts the output of a program into lines, each stream for itself. */
class LineSplitter {
  readonly #sink: (stream: string, line: string) => void;
  readonly #rest = new Map<string, string>();

  constructor(sink: (stream: string, line: string) => void) {
    this.#sink = sink;
  }

  add(stream: string, text: string): void {
    const lines = ((this.#rest.get(stream) ?? '') + text).split('\n');
    this.#rest.set(stream, lines.pop()!);
    for (const line of lines) this.#sink(stream, line);
  }

  end(): void {
    for (const [stream, line] of this.#rest) if (line) this.#sink(stream, line);
    this.#rest.clear();
  }
}
