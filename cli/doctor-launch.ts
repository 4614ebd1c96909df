/** What `flux doctor` finds of the launcher of this process: what it offers, and whether that works. */

import { asFluxError } from '../core/errno.ts';
import { Hostlist } from '../core/formats/hostlist.ts';
import { Bootstrap, ownCard } from '../core/node/bootstrap.ts';
import { openPmiBy } from '../core/pmi/methods.ts';
import type { Pmi } from '../core/pmi/pmi.ts';
import { type Finding, note, ok, wrong } from './doctor-finding.ts';
import { within } from './limits.ts';

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
  return { rank, size, findings: [found, await examineExchange(pmi, timeout, environment)] };
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

/** All processes find each other as those of an instance do. */
async function examineExchange(pmi: Pmi, timeout: number, environment: Environment): Promise<Finding> {
  const own = ownCard();
  const start = performance.now();
  try {
    const { plan } = await within(timeout, new Bootstrap(pmi, environment).gather(own));
    const hosts = Hostlist.from(new Set(Hostlist.parse(plan.hosts).expand())).encode();
    const milliseconds = (performance.now() - start).toFixed(1);
    await pmi.finalize();
    return ok(`All ${pmi.size} run on ${hosts}, and found each other in ${milliseconds} ms.`);
  } catch (error) {
    const { code, message } = asFluxError(error);
    const why = code === 'ETIMEDOUT' ? `not all of them came within ${timeout} s` : message;
    return wrong(`The processes do not become an instance: ${why}.`);
  } finally {
    pmi.close();
  }
}
