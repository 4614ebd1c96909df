/** What the status of a process means, as wait(2) says it, and that of a job's shells (RFC 21, finish event). */

import { signalText } from './signal.ts';

/** The signal that ended it, or 0. */
export function signalOf(status: number): number {
  const signal = status & 0x7f;
  return signal === 0x7f ? 0 : signal;
}

/** The exit code that a status stands for: 128 and the signal when one ended it. */
export function exitCodeOf(status: number): number {
  const signal = signalOf(status);
  return signal ? 128 + signal : (status >> 8) & 0xff;
}

export interface JobExit {
  readonly code: number;
  /** What there is to say about it; nothing when the code is 0. */
  readonly message: string;
}

/** What the status of a job's event `finish` means: that of its shells. */
export function jobExit(status: number): JobExit {
  const signum = signalOf(status);
  if (signum) return { code: 128 + signum, message: `job shell ${signalText(signum)}` };
  const code = (status >> 8) & 0xff;
  // A shell whose tasks a signal ended exits with 128 and the signal.
  if (code > 128) return { code, message: `task(s) ${signalText(code - 128)}` };
  return { code, message: code ? `task(s) exited with exit code ${code}` : '' };
}
