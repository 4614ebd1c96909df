/** Finds the URI of a Flux instance: of a job, of a process, of the instances that enclose this one. */

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { FluxError } from '../core/errno.ts';
import { parseFluid } from '../core/formats/fluid.ts';
import { Handle } from '../core/handle/handle.ts';
import { isObject } from '../core/message/unpack.ts';
import { watchEventlog } from './eventlog.ts';
import { fetchRunningJob } from './job-fetch.ts';

/** What each scheme of a target means. */
export const schemes: Readonly<Record<string, string>> = {
  jobid: 'the instance that a job is: JOBID, JOBID/JOBID, / for the outermost one, .. for the enclosing one',
  pid: 'the instance that a process of this machine runs in, or is the broker of',
  local: 'the URI itself, of a broker on this machine',
  ssh: 'the URI itself, of a broker on another machine',
};

/**
 * Resolves a target to the URI of a broker.
 *
 * @param target a URI with one of `schemes`, or what stands behind `jobid:`; `?local`, `?remote` and `?wait` may follow
 * @throws FluxError ENOENT, EINVAL: there is none, with a sentence that says why
 */
export async function resolveUri(target: string): Promise<string> {
  const [, scheme = 'jobid', rest = ''] = /^(?:([a-z][a-z0-9+.-]*):)?([\s\S]*)$/i.exec(target) ?? [];
  if (scheme === 'local' || scheme === 'ssh') return target;
  const [where = '', query = ''] = rest.split('?', 2);
  const wishes = new Set(query.split('&').map((wish) => wish.split('=')[0]));
  if (wishes.has('local') && wishes.has('remote'))
    throw new FluxError('EINVAL', "'?local' and '?remote' exclude each other");
  const uri = await resolveScheme(scheme, where, wishes);
  if (wishes.has('remote')) return remoteUri(uri);
  return wishes.has('local') || isLocalForced() ? localUri(uri) : uri;
}

function resolveScheme(scheme: string, where: string, wishes: ReadonlySet<string | undefined>): Promise<string> {
  if (scheme === 'pid') return Promise.resolve(uriOfProcess(where));
  if (scheme !== 'jobid') throw new FluxError('ENOENT', `there is no way to resolve URIs of the scheme '${scheme}'`);
  const forceLocal = wishes.has('local') || isLocalForced();
  return resolveJobPath(where, { wait: wishes.has('wait'), forceLocal });
}

/** Whether the user wants URIs as they are used on this machine. */
export function isLocalForced(): boolean {
  return Boolean(process.env.FLUX_URI_RESOLVE_LOCAL);
}

// ---- forms of a URI

interface NativeUri {
  readonly scheme: 'local' | 'ssh';
  readonly host: string;
  readonly path: string;
}

function parseNative(uri: string): NativeUri {
  const [, scheme, host = '', where = ''] = /^(local|ssh):\/\/([^/]*)(\/[^?]*)/.exec(uri) ?? [];
  if (scheme === undefined) throw new FluxError('EINVAL', `'${uri}' is neither a local:// nor an ssh:// URI`);
  return { scheme: scheme as NativeUri['scheme'], host, path: where.replace(/\/+/g, '/') };
}

/** The same broker for somebody on its machine. */
export function localUri(uri: string): string {
  const native = parseNative(uri);
  return native.scheme === 'local' ? uri : `local://${native.path}`;
}

/** The same broker for somebody on another machine; a local one is taken to be on `host`. */
export function remoteUri(uri: string, host = os.hostname()): string {
  const native = parseNative(uri);
  return native.scheme === 'ssh' ? uri : `ssh://${host}${native.path}`;
}

// ---- jobs

interface JobPathOptions {
  readonly wait: boolean;
  /** Go to the jobs on the way by their local URIs. */
  readonly forceLocal: boolean;
}

async function resolveJobPath(where: string, { wait, forceLocal }: JobPathOptions): Promise<string> {
  const steps = where.split('/').filter((step) => step !== '' && step !== '.');
  if (where.startsWith('/')) steps.unshift('/');
  // Relative steps give local URIs, which are of the host of the last job on the way.
  let host: string | undefined;
  let uri: string | undefined;
  for (const step of steps) {
    const from = uri !== undefined && forceLocal ? localUri(uri) : uri;
    uri = await withHandle((handle) => takeStep(handle, step, wait), from);
    if (step !== '/' && step !== '..') host = parseNative(uri).host || host;
    else if (step === '..' && host) uri = remoteUri(uri, host);
  }
  return uri ?? withHandle((handle) => handle.attribute('local-uri'));
}

/** Asks a broker on the way. The connection ends here: who resolves a URI may live on for long. */
async function withHandle<T>(work: (handle: Handle) => Promise<T>, uri?: string): Promise<T> {
  const handle = await Handle.open(uri);
  try {
    return await work(handle);
  } finally {
    await handle.close();
  }
}

function takeStep(handle: Handle, step: string, wait: boolean): Promise<string> {
  if (step === '/') return rootUri(handle);
  if (step === '..') return parentUri(handle);
  return uriOfJob(handle, step, wait);
}

async function parentUri(handle: Handle): Promise<string> {
  const isNested = Number(await handle.attribute('instance-level')) > 0;
  return handle.attribute(isNested ? 'parent-uri' : 'local-uri');
}

async function rootUri(handle: Handle): Promise<string> {
  if (Number(await handle.attribute('instance-level')) === 0) return handle.attribute('local-uri');
  return withHandle(rootUri, await handle.attribute('parent-uri'));
}

async function uriOfJob(handle: Handle, text: string, wait: boolean): Promise<string> {
  let id: bigint;
  try {
    id = parseFluid(text);
  } catch {
    throw new FluxError('EINVAL', `${text} is not a job id`);
  }
  const uri = await (wait ? awaitMemo(handle, id, text) : annotatedUri(handle, text));
  if (!uri) throw new FluxError('ENODATA', `job ${text} is no Flux instance, or has not told its URI yet`);
  return uri;
}

async function annotatedUri(handle: Handle, text: string): Promise<string | undefined> {
  const { annotations } = await fetchRunningJob(handle, text, ['annotations']);
  const user = isObject(annotations) ? annotations.user : undefined;
  return isObject(user) && typeof user.uri === 'string' ? user.uri : undefined;
}

/** Waits until a job tells its URI, or ends. */
async function awaitMemo(handle: Handle, id: bigint, text: string): Promise<string | undefined> {
  try {
    for await (const { name, context } of watchEventlog(handle, id, 'eventlog')) {
      if (name === 'memo' && typeof context.uri === 'string') return context.uri;
      if (name === 'finish') return undefined;
    }
    return undefined;
  } catch (error) {
    throw (error as FluxError).code === 'ENOENT' ? new FluxError('ENOENT', `there is no job ${text}`) : error;
  }
}

// ---- processes

function uriOfProcess(pid: string): string {
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
