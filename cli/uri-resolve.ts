/** Finds the URI of a Flux instance: of a job, here, under Slurm or LSF, of a process, of those that enclose this one. */

import { FluxError } from '../core/errno.ts';
import { parseFluid } from '../core/formats/fluid.ts';
import { Handle } from '../core/handle/handle.ts';
import { isObject } from '../core/message/unpack.ts';
import { watchEventlog } from './eventlog.ts';
import { fetchRunningJob } from './job-fetch.ts';
import { hostOf, isLocalForced, localUri, remoteUri } from './uri-forms.ts';
import { uriOfProcess } from './uri-process.ts';

/** What each scheme of a target means. */
export const schemes: Readonly<Record<string, string>> = {
  jobid: 'the instance that a job is: JOBID, JOBID/JOBID, / for the outermost one, .. for the enclosing one',
  pid: 'the instance that a process of this machine runs in, or is the broker of',
  slurm: 'the instance that runs as a job of Slurm, by the id of that job',
  lsf: 'the instance that runs as a job of LSF, by the id of that job',
  local: 'the URI itself, of a broker on this machine',
  ssh: 'the URI itself, of a broker on another machine',
};

/**
 * Resolves a target to the URI of a broker.
 *
 * @param target a URI with one of `schemes`, or what stands behind `jobid:`; `?local`, `?remote` and `?wait` may follow
 * @throws FluxError there is none, with a sentence that says why
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

async function resolveScheme(scheme: string, where: string, wishes: ReadonlySet<string | undefined>): Promise<string> {
  switch (scheme) {
    case 'jobid':
      return resolveJobPath(where, { wait: wishes.has('wait'), forceLocal: wishes.has('local') || isLocalForced() });
    case 'pid':
      return uriOfProcess(where);
    case 'slurm': {
      const { uriOfSlurmJob } = await import('./uri-slurm.ts');
      return uriOfSlurmJob(where);
    }
    case 'lsf': {
      const { uriOfLsfBroker, uriOfLsfJob } = await import('./uri-lsf.ts');
      return wishes.has('is_compute') ? uriOfLsfBroker(where) : uriOfLsfJob(where);
    }
    default:
      throw new FluxError('ENOENT', `there is no way to resolve URIs of the scheme '${scheme}'`);
  }
}

interface JobPathOptions {
  readonly wait: boolean;
  /** Go to the jobs on the way by their local URIs. */
  readonly forceLocal: boolean;
}

async function resolveJobPath(where: string, { wait, forceLocal }: JobPathOptions): Promise<string> {
  const steps = where.split('/').filter((step) => step !== '' && step !== '.');
  for (const step of steps) if (step !== '..') parseStep(step);
  if (where.startsWith('/')) steps.unshift('/');
  // Relative steps give local URIs, which are of the host of the last job on the way.
  let host: string | undefined;
  let uri: string | undefined;
  for (const step of steps) {
    const from = uri !== undefined && forceLocal ? localUri(uri) : uri;
    uri = await withHandle((handle) => takeStep(handle, step, wait), from);
    if (step !== '/' && step !== '..') host = hostOf(uri) || host;
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

function parseStep(text: string): bigint {
  try {
    return parseFluid(text);
  } catch {
    throw new FluxError('EINVAL', `${text} is not a job id`);
  }
}

async function uriOfJob(handle: Handle, text: string, wait: boolean): Promise<string> {
  const id = parseStep(text);
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
