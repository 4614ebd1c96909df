/** What a process does whose rank another process hosts: it waits for the instance's end. */

import { type State, stateNumber } from '../broker/state-machine.ts';
import { asFluxError } from '../errno.ts';
import { Handle } from '../handle/handle.ts';

/** Signals that end a broker; who signals a program signals all its processes, and rank 0's does what they ask. */
const leftToLeader = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGALRM'] as const;

const running: State = 'run';

/** Milliseconds after a signal in which the instance has to come, if it is one that is signalled as a whole. */
const COMES_IN_MS = 2000;

/**
 * From now on signals are for the process that hosts this one's ranks, if the instance comes; else they end this one. To be
 * called before that process runs anything.
 *
 * @returns what is to be called when the instance is there
 */
export function leaveSignals(): () => void {
  let isThere = false;
  for (const name of leftToLeader)
    process.on(name, () => {
      setTimeout(() => {
        if (isThere) return;
        process.removeAllListeners(name);
        process.kill(process.pid, name);
      }, COMES_IN_MS).unref();
    });
  return () => {
    isThere = true;
  };
}

/**
 * Resolves to the exit code when the instance at `uri` has ended: 0, or 1 when it did not end in order. What its ranks
 * ended with is told by the process that hosts them.
 */
export async function awaitEnd(uri: string): Promise<number> {
  let handle: Handle;
  try {
    handle = await Handle.open(uri);
  } catch {
    // It is over already.
    return 0;
  }
  let last = 0;
  try {
    for await (const { state } of handle.stream<{ state: number }>('state-machine.monitor')) last = state;
  } catch (error) {
    if (last <= stateNumber(running)) console.error(`flux-broker: the instance is gone: ${asFluxError(error).message}`);
  } finally {
    await handle.close();
  }
  return last > stateNumber(running) ? 0 : 1;
}
