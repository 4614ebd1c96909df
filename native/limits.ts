/** The limits of processes, as setrlimit(2) has them. */

import fs from 'node:fs';
import { FluxError } from '../core/errno.ts';
import { getAddon, systemError } from './addon.ts';

/** Their names in Flux, in the order of native/src/limits.c, and what `/proc/PID/limits` calls them. */
const limits = {
  cpu: 'Max cpu time',
  fsize: 'Max file size',
  data: 'Max data size',
  stack: 'Max stack size',
  core: 'Max core file size',
  nofile: 'Max open files',
  as: 'Max address space',
  rss: 'Max resident set',
  nproc: 'Max processes',
  memlock: 'Max locked memory',
  msgqueue: 'Max msgqueue size',
  nice: 'Max nice priority',
  rtprio: 'Max realtime priority',
  rttime: 'Max realtime timeout',
  sigpending: 'Max pending signals',
} as const;

export type LimitName = keyof typeof limits;

export const limitNames = Object.keys(limits) as readonly LimitName[];

/** The limit of a name, by which `ofile` is another name of `nofile`; undefined: there is none. */
export function findLimit(name: string): LimitName | undefined {
  if (name === 'ofile') return 'nofile';
  return limitNames.find((known) => known === name);
}

/** A limit of this process, `Infinity` for none. Throws FluxError ENOSYS for one that this system does not have. */
export function getLimit(name: LimitName): { readonly soft: number; readonly hard: number } {
  const addon = getAddon();
  if (!addon) return readLimit('self', name);
  const out = new Float64Array(2);
  const result = addon.limits(limitNames.indexOf(name), out);
  if (result < 0) throw systemError(result, `this system has no limit '${name}'`);
  return { soft: out[0]!, hard: out[1]! };
}

/**
 * A limit of a process of this machine, as Linux tells it in a file. Throws FluxError ESRCH when there is no such process
 * or it is another's, ENOSYS when there is no such limit.
 */
export function readLimit(pid: number | 'self', name: LimitName): { readonly soft: number; readonly hard: number } {
  const line = readLines(pid).find((line) => line.startsWith(limits[name]));
  if (!line) throw new FluxError('ENOSYS', `this system has no limit '${name}'`);
  const [soft = '', hard = ''] = line.slice(limits[name].length).trim().split(/\s+/);
  return { soft: parseValue(soft), hard: parseValue(hard) };
}

function readLines(pid: number | 'self'): readonly string[] {
  try {
    return fs.readFileSync(`/proc/${pid}/limits`, 'utf8').split('\n');
  } catch {
    throw new FluxError('ESRCH', `the limits of process ${pid} cannot be read`);
  }
}

function parseValue(text: string): number {
  return text === 'unlimited' ? Infinity : Number(text);
}
