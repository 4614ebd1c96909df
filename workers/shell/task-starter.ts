/** How a task gets its process: with what else it is tried when that fails, and what is told of it when it fails for good. */

import { constants } from 'node:os';
import { asFluxError, FluxError, strerror } from '../../core/errno.ts';
import { findPackageFile } from '../../native/index.ts';
import { type Process, SpawnError } from '../../native/process.ts';
import type { JobEnvironment } from './job-environment.ts';
import { LogLevel, type Shell, type TaskSpec } from './plugin.ts';
import type { Task, TaskEvents } from './task.ts';

const FALLBACK_CWD = '/tmp';
/** The command of Flux. */
const COMMAND = 'flux';

/** A task that could not be started. */
export class TaskStartError extends FluxError {
  /** Of the shell: what sh(1) makes of such a command. */
  readonly exitCode: number;

  constructor(task: Task, hostname: string, error: unknown) {
    const { errno, message } = asFluxError(error);
    const why = error instanceof SpawnError && error.step === 'exec' ? strerror(errno) : message;
    super(errno, `task ${task.rank} (host ${hostname}): start failed: ${task.spec.argv[0]}: ${why}`);
    this.exitCode = exitCodes.get(errno) ?? 1;
  }
}

const exitCodes = new Map([
  [constants.errno.EPERM, 126],
  [constants.errno.EACCES, 126],
  [constants.errno.ENOENT, 127],
]);

export class TaskStarter {
  readonly #shell: Shell;
  readonly #environment: JobEnvironment;
  #cwd: string;

  /** @param cwd where tasks run; some folder that is always there when absent */
  constructor(shell: Shell, environment: JobEnvironment, cwd = FALLBACK_CWD) {
    this.#shell = shell;
    this.#environment = environment;
    this.#cwd = cwd;
  }

  /** Where tasks run that have no folder of their own. */
  get cwd(): string {
    return this.#cwd;
  }

  /**
   * Starts a task's program by its `spec`, which says afterwards what was started.
   *
   * @throws FluxError why it cannot be started
   */
  async spawn(task: Task, events: TaskEvents): Promise<Process> {
    for (;;) {
      try {
        const env = this.#environment.entriesWith(task.ownEnv);
        return await this.#shell.context.spawnSoon({ ...task.spec, env }, events);
      } catch (error) {
        if (!(error instanceof SpawnError) || !this.#mend(task.spec, error)) throw error;
      }
    }
  }

  /** Changes what a task could not be started with, where something else may do. */
  #mend(spec: TaskSpec, error: SpawnError): boolean {
    if (error.step === 'cwd' && spec.cwd !== FALLBACK_CWD) {
      this.#missCwd(spec.cwd, error);
      spec.cwd = FALLBACK_CWD;
      return true;
    }
    // Jobs bring a PATH of their own, and those that are instances need the command.
    const own = error.code === 'ENOENT' && spec.argv[0] === COMMAND ? findPackageFile(`bin/${COMMAND}`) : undefined;
    if (own !== undefined) spec.argv = [own, ...spec.argv.slice(1)];
    return own !== undefined;
  }

  /** A task whose folder is not there runs in another one, and all after it. */
  #missCwd(cwd: string | undefined, error: FluxError): void {
    if (cwd !== this.#cwd) return;
    this.#cwd = FALLBACK_CWD;
    this.#shell.log(
      LogLevel.error,
      `host ${this.#shell.hostname}: Could not change dir to ${cwd}: ${strerror(error.errno)}. Going to ${FALLBACK_CWD} instead`,
    );
  }
}
