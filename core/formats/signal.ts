/** POSIX signals by Linux's numbers, which the wire carries (RFC 42): their names, and what strsignal(3) calls them. */

import { FluxError } from '../errno.ts';

const table = [
  ['HUP', 'Hangup'],
  ['INT', 'Interrupt'],
  ['QUIT', 'Quit'],
  ['ILL', 'Illegal instruction'],
  ['TRAP', 'Trace/breakpoint trap'],
  ['ABRT', 'Aborted'],
  ['BUS', 'Bus error'],
  ['FPE', 'Floating point exception'],
  ['KILL', 'Killed'],
  ['USR1', 'User defined signal 1'],
  ['SEGV', 'Segmentation fault'],
  ['USR2', 'User defined signal 2'],
  ['PIPE', 'Broken pipe'],
  ['ALRM', 'Alarm clock'],
  ['TERM', 'Terminated'],
  ['STKFLT', 'Stack fault'],
  ['CHLD', 'Child exited'],
  ['CONT', 'Continued'],
  ['STOP', 'Stopped (signal)'],
  ['TSTP', 'Stopped'],
  ['TTIN', 'Stopped (tty input)'],
  ['TTOU', 'Stopped (tty output)'],
  ['URG', 'Urgent I/O condition'],
  ['XCPU', 'CPU time limit exceeded'],
  ['XFSZ', 'File size limit exceeded'],
  ['VTALRM', 'Virtual timer expired'],
  ['PROF', 'Profiling timer expired'],
  ['WINCH', 'Window changed'],
  ['IO', 'I/O possible'],
  ['PWR', 'Power failure'],
  ['SYS', 'Bad system call'],
] as const;

/** The first of the real-time signals that programs may use; the ones before are the C library's own. */
const RTMIN = 34;
const RTMAX = 64;

/** What strsignal(3) says of a signal: `Terminated`. */
export function signalText(signum: number): string {
  if (signum >= RTMIN && signum <= RTMAX) return `Real-time signal ${signum - RTMIN}`;
  return table[signum - 1]?.[1] ?? `Unknown signal ${signum}`;
}

/** What a signal is called: `SIGTERM`, its number where it has no name. */
export function signalName(signum: number): string {
  const name = table[signum - 1]?.[0];
  return name === undefined ? String(signum) : `SIG${name}`;
}

/**
 * Reads a signal: a number, or a name with or without `SIG`.
 *
 * @throws FluxError EINVAL: no such signal
 */
export function parseSignal(text: string): number {
  const name = text.toUpperCase().replace(/^SIG/, '');
  const index = table.findIndex(([known]) => known === name);
  if (index >= 0) return index + 1;
  const signum = Number(text);
  if (!/^\d+$/.test(text) || signum < 1 || signum > RTMAX) throw new FluxError('EINVAL', `'${text}' is not a signal`);
  return signum;
}
