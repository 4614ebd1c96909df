/**
 * Ends what tasks have left when the process that runs their shells is killed. The kernel kills the tasks themselves with
 * it (see `ProcessSpec.outlivesUs`), but not what they have started. So a small process waits for the end of a pipe that
 * nobody but this one holds, and then kills whatever has the environment of a task of this instance.
 */

import type { Spawn } from '../../core/broker/service.ts';
import { asFluxError } from '../../core/errno.ts';
import type { Process } from '../../native/process.ts';

/** What it is told when tasks are ended in order. */
const IN_ORDER = 'in-order';

/** What is started while others are killed is found the next time. */
const script = `
read -r word && [ "$word" = ${IN_ORDER} ] && exit
for round in 1 2 3 4 5 6 7 8 9 10; do
  cd /proc || exit
  found=$(grep -Flsz "FLUX_URI=local://$1/local-" [0-9]*/environ)
  found=$(grep -lsz '^FLUX_KVS_NAMESPACE=job-' /dev/null $found)
  [ -n "$found" ] || exit 0
  for file in $found; do kill -KILL "\${file%/environ}"; done
done`;

export class TaskGuard {
  #process: Process | undefined;
  #users = 0;

  /**
   * Starts it for the first who asks.
   *
   * @param rundir where the sockets are that tasks are told of
   * @param log told why there is none
   */
  enter(spawn: Spawn, rundir: string, log: (text: string) => void): void {
    if (this.#users++ > 0 || process.platform !== 'linux') return;
    try {
      this.#process = spawn(
        {
          argv: ['sh', '-c', script, 'flux-task-guard', rundir],
          env: [`PATH=${process.env.PATH ?? '/usr/bin:/bin'}`],
          cwd: '/',
          session: true,
          outlivesUs: true,
          stdio: ['input', 'null', 'null'],
        },
        { data: () => {}, exit: () => {} },
      );
    } catch (error) {
      log(`what tasks start will outlive a kill of this process: ${asFluxError(error).message}`);
    }
  }

  /** The last who leaves ends it. */
  leave(): void {
    if (--this.#users > 0) return;
    this.#process?.write(0, Buffer.from(`${IN_ORDER}\n`));
    this.#process?.end(0);
    this.#process = undefined;
  }
}
