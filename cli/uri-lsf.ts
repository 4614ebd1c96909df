/** Finds the instance that runs as a job of IBM Spectrum LSF: by asking on the first of the job's nodes. */

import fs from 'node:fs';
import path from 'node:path';
import { about, FluxError } from '../core/errno.ts';
import { Hostlist } from '../core/formats/hostlist.ts';
import { quoteShellWord } from '../core/formats/shell-words.ts';
import { remoteUri } from './uri-forms.ts';
import { brokersWith, uriOfProcess } from './uri-process.ts';
import { readProgram } from './uri-program.ts';

/** Tells of a job where it runs. */
const ALLOCATION_QUERY = '/opt/ibm/csm/bin/csm_allocation_query';

/**
 * The remote URI of the instance, found by this command on a node of the job.
 *
 * @throws FluxError EINVAL: `job` is no id of an LSF job; ENOENT: no node or no instance was found; what was said there
 */
export async function uriOfLsfJob(job: string): Promise<string> {
  checkId(job);
  try {
    const host = await findNode(job);
    const { FLUX_SSH = 'ssh', FLUX_SSH_RCMD = findFlux() } = process.env;
    const target = quoteShellWord(`lsf:${job}?is_compute`);
    return remoteUri((await readProgram(FLUX_SSH, [host, FLUX_SSH_RCMD, 'uri', '--remote', target])).trim(), host);
  } catch (error) {
    throw about(`LSF job ${job}`, error);
  }
}

/**
 * The remote URI of the instance whose broker is on this machine.
 *
 * @throws FluxError EINVAL: `job` is no id of an LSF job; ENOENT: there is no such broker
 */
export function uriOfLsfBroker(job: string): string {
  checkId(job);
  const [pid] = brokersWith(`LSB_JOBID=${job}`);
  if (pid === undefined) throw new FluxError('ENOENT', `LSF job ${job} has no broker on this machine`);
  return remoteUri(uriOfProcess(pid));
}

function checkId(job: string): void {
  if (!/^\d+$/.test(job)) throw new FluxError('EINVAL', `'${job}' is not the id of an LSF job`);
}

/** The first of the job's nodes: a list in the YAML that the query writes. */
async function findNode(job: string): Promise<string> {
  const yaml = await readProgram(process.env.CSM_ALLOCATION_QUERY ?? ALLOCATION_QUERY, ['-j', job]);
  const [, list = ''] = /^compute_nodes:[ \t]*\n((?:[ \t]*-[ \t]+.*\n?)*)/m.exec(yaml) ?? [];
  const names = Array.from(list.matchAll(/-[ \t]+(\S+)/g), ([, name]) => name);
  const { first } = Hostlist.parse(names.join(',')).sort();
  if (first === undefined) throw new FluxError('ENOENT', 'it has no nodes');
  return first;
}

/** The path of the command here, which is taken to be the same there. */
function findFlux(): string {
  const folder = (process.env.PATH ?? '').split(':').find((each) => each && fs.existsSync(path.join(each, 'flux')));
  return folder === undefined ? 'flux' : quoteShellWord(path.join(folder, 'flux'));
}
