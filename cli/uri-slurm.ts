/** Finds the instance that runs as a job of Slurm: by the job's processes here, else by asking on its first node. */

import { about, FluxError } from '../core/errno.ts';
import { Hostlist } from '../core/formats/hostlist.ts';
import { remoteUri } from './uri-forms.ts';
import { uriOfProcess } from './uri-process.ts';
import { readProgram } from './uri-program.ts';

/**
 * The remote URI of the instance.
 *
 * @throws FluxError EINVAL: `job` is no id of a Slurm job; ENOENT: no instance was found; what Slurm said when it failed
 */
export async function uriOfSlurmJob(job: string): Promise<string> {
  if (!/^\d[\w+.]*$/.test(job)) throw new FluxError('EINVAL', `'${job}' is not the id of a Slurm job`);
  const pids = await findTasks(job);
  try {
    return pids ? uriOfTask(pids) : await askFirstNode(job);
  } catch (error) {
    throw about(`Slurm job ${job}`, error);
  }
}

/** The processes here that Slurm started as the first task of a step; undefined when it knows of none of the job. */
async function findTasks(job: string): Promise<string[] | undefined> {
  const table = await readProgram('scontrol', ['listpids', job]).catch(() => undefined);
  // PID JOBID STEPID LOCALID GLOBALID. What a task has started has no LOCALID, and may belong to an instance inside.
  return table
    ?.split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([pid = '', , , task]) => /^[1-9]\d*$/.test(pid) && task === '0' && pid !== String(process.pid))
    .map(([pid]) => pid!);
}

function uriOfTask(pids: readonly string[]): string {
  for (const pid of pids) {
    try {
      return remoteUri(uriOfProcess(pid));
    } catch {
      // The next one may be the broker.
    }
  }
  throw new FluxError('ENOENT', 'none of its tasks on this machine has a FLUX_URI');
}

async function askFirstNode(job: string): Promise<string> {
  const [nodes = ''] = (await readProgram('squeue', ['-h', '-o', '%N', '-j', job])).trim().split('\n');
  const { first } = Hostlist.parse(nodes);
  if (first === undefined) throw new FluxError('ENOENT', 'it has no nodes');
  // The program there would take this instance for the job's, or tell a URI that is good only there.
  const { FLUX_URI: _uri, FLUX_URI_RESOLVE_LOCAL: _local, ...env } = process.env;
  const command = ['--overlap', `--jobid=${job}`, '-w', first, '-n1', '-N1', 'flux', 'uri', `slurm:${job}`];
  return remoteUri((await readProgram('srun', command, env)).trim(), first);
}
