/** What `flux doctor` finds of the launcher of this process: what it offers, and whether that works. */

import { asFluxError, FluxError } from '../core/errno.ts';
import { Hostlist } from '../core/formats/hostlist.ts';
import { ownCard } from '../core/node/bootstrap.ts';
import { openPmiBy } from '../core/pmi/methods.ts';
import type { Pmi } from '../core/pmi/pmi.ts';
import { type Finding, note, ok, wrong } from './findings.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** What is found, and which of the launched processes this one is. */
export interface Launch {
  readonly rank: number;
  readonly size: number;
  readonly findings: readonly Finding[];
}

interface Launcher {
  readonly name: string;
  /** The variable that says how many processes there are. */
  readonly count: string;
  readonly advice: string;
}

const launchers: readonly Launcher[] = [
  { name: 'Slurm', count: 'SLURM_STEP_NUM_TASKS', advice: '`srun --mpi=pmi2` offers one' },
  { name: 'Open MPI', count: 'OMPI_COMM_WORLD_SIZE', advice: "MPICH's `mpiexec` or `srun --mpi=pmi2` offer one" },
];

/** @param timeout seconds to wait for the other processes */
export async function examineLaunch(timeout: number, environment: Environment = process.env): Promise<Launch> {
  const tried = new Attempts();
  let pmi: Pmi;
  try {
    pmi = await openPmiBy({ refusesFlux: true, trace: (text) => tried.add(text) });
  } catch (error) {
    const why = `The launcher's process management interface does not work: ${asFluxError(error).message}.`;
    return { rank: 0, size: 1, findings: [wrong(why)] };
  }
  const { rank, size, method } = pmi;
  if (method === 'single') return { rank, size, findings: [...examineAlone(environment), ...tried.findings()] };
  const found = ok(`The launcher offers PMI by '${method}': this is process ${rank} of ${size}.`);
  return { rank, size, findings: [found, ...(await examineExchange(pmi, timeout))] };
}

/** What came of each method but the one that works. */
class Attempts {
  readonly #reasons = new Map<string, string>();
  #method = '';

  add(text: string): void {
    const [, method] = /^trying '(.*)'$/.exec(text) ?? [];
    if (method !== undefined) this.#method = method;
    else if (text !== 'selected' && !/^(client|server): /.test(text)) this.#reasons.set(this.#method, text);
  }

  findings(): Finding[] {
    return [...this.#reasons].map(([method, reason]) => note(`There is no PMI by '${method}': ${reason}.`));
  }
}

function examineAlone(environment: Environment): Finding[] {
  const launcher = launchers.find(({ count }) => Number(environment[count]) > 1);
  if (!launcher) return [note('Nobody launched this process as one of several: an instance has the ranks of --size.')];
  const { name, count, advice } = launcher;
  const processes = `${name} has launched ${environment[count]} processes`;
  return [wrong(`${processes}, but no PMI by which they find each other: each is an instance of its own. ${advice}.`)];
}

const hostKey = (rank: number) => `flux.doctor.${rank}`;

/** All processes tell each other where they are. */
async function examineExchange(pmi: Pmi, timeout: number): Promise<Finding[]> {
  const start = performance.now();
  try {
    const hosts = await inTime(exchange(pmi), timeout);
    const milliseconds = (performance.now() - start).toFixed(1);
    await pmi.finalize();
    return [ok(`All ${pmi.size} have exchanged keys, in ${milliseconds} ms.`), describeHosts(hosts)];
  } catch (error) {
    return [wrong(`The processes cannot exchange keys: ${asFluxError(error).message}.`)];
  } finally {
    pmi.close();
  }
}

/** Names of the machines, by process. */
async function exchange(pmi: Pmi): Promise<readonly string[]> {
  const { hostname, machine } = ownCard();
  await pmi.put(hostKey(pmi.rank), `${machine},${hostname}`);
  await pmi.barrier();
  const hosts: string[] = [];
  for (let rank = 0; rank < pmi.size; rank++) hosts.push((await pmi.get(hostKey(rank))).split(',')[1]!);
  return hosts;
}

function describeHosts(hosts: readonly string[]): Finding {
  const names = Hostlist.from([...new Set(hosts)]).encode();
  if (new Set(hosts).size === 1) return ok(`All run on ${names}.`);
  return wrong(`They run on several machines, ${names}: an instance is on one.`);
}

async function inTime<T>(work: Promise<T>, seconds: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new FluxError('ETIMEDOUT', `not all of them came within ${seconds} s`);
    timer = setTimeout(() => reject(error), seconds * 1000);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
