/** Finds instances by the processes of this machine. */

import fs from 'node:fs';
import path from 'node:path';
import { FluxError } from '../core/errno.ts';

/**
 * The URI of the instance that a process runs in, or is the broker of.
 *
 * @throws FluxError EINVAL: `pid` is no process id; ESRCH: there is no such process; EACCES: it is another user's; ENOENT: it
 * runs in no instance
 */
export function uriOfProcess(pid: string): string {
  if (!/^\d+$/.test(pid)) throw new FluxError('EINVAL', `'${pid}' is not a process id`);
  if (!fs.existsSync(`/proc/${pid}`)) throw new FluxError('ESRCH', `there is no process ${pid}`);
  // A broker's own variable names the instance that encloses its own.
  const candidates = isBroker(pid) ? childrenOf(pid) : [pid];
  for (const candidate of candidates) {
    const uri = environmentOf(candidate).find((setting) => setting.startsWith('FLUX_URI='));
    if (uri) return uri.slice('FLUX_URI='.length);
  }
  throw new FluxError('ENOENT', `process ${pid} has no FLUX_URI`);
}

/** The user's brokers of rank 0 that have a variable set so, the one with the lowest process id first. */
export function brokersWith(setting: string): string[] {
  const ids = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return ids
    .sort((a, b) => Number(a) - Number(b))
    .filter((pid) => isOwn(pid) && isBroker(pid) && !isFollower(pid) && environmentOf(pid).includes(setting));
}

function isOwn(pid: string): boolean {
  return fs.statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid === process.geteuid!();
}

/** Whether a process is flux-core's broker of another rank than 0: its name says which. */
function isFollower(pid: string): boolean {
  return /flux-broker-[1-9]/.test(readProc(pid, 'comm'));
}

function readProc(pid: string, name: string): string {
  try {
    return fs.readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES') throw new FluxError('EACCES', `process ${pid} is somebody else's`);
    return '';
  }
}

function environmentOf(pid: string): string[] {
  return readProc(pid, 'environ').split('\0');
}

function isBroker(pid: string): boolean {
  if (/flux-broker/.test(readProc(pid, 'comm'))) return true;
  const words = readProc(pid, 'cmdline').split('\0');
  const own = words.findIndex((word) => /^flux(\.cjs)?$/.test(path.basename(word)));
  return own >= 0 && ['start', 'broker'].includes(words[own + 1] ?? '');
}

function childrenOf(pid: string): string[] {
  return fs
    .readdirSync(`/proc/${pid}/task`)
    .flatMap((task) => readProc(pid, `task/${task}/children`).split(' '))
    .filter(Boolean);
}
