/** The ways to a process management interface, in the order in which they are tried. */

import { openPmi, type PmiClient } from '../../native/index.ts';
import { asFluxError, FluxError } from '../errno.ts';
import { type Pmi, SinglePmi } from './pmi.ts';
import { SimplePmi } from './simple-client.ts';

export interface PmiOptions {
  /** `METHOD` or `METHOD:PATH`; what FLUX_PMI_CLIENT_METHODS names, or else all in turn, when absent. */
  readonly method?: string | undefined;
  /** A libpmi of Flux's own is none. */
  readonly refusesFlux?: boolean | undefined;
  /** Told what is tried, and what comes of it. */
  readonly trace?: (text: string) => void;
}

type Open = (path: string | undefined, options: PmiOptions) => Promise<Pmi>;

const methods: Readonly<Record<string, Open>> = {
  simple: (_, { trace }) => SimplePmi.fromEnvironment(process.env, trace),
  libpmi2: async (path, { refusesFlux }) => new LibraryPmi('libpmi2', openLibrary(2, path, refusesFlux)),
  libpmi: async (path, { refusesFlux }) => new LibraryPmi('libpmi', openLibrary(1, path, refusesFlux)),
  single: async () => new SinglePmi(),
};

const USUAL = 'simple libpmi2 libpmi single';

/**
 * Opens the interface of this process.
 *
 * @throws FluxError ENOENT: there is no such method, or none that works; or what it fails with
 */
export async function openPmiBy(options: PmiOptions): Promise<Pmi> {
  const { method, trace = () => {} } = options;
  if (method !== undefined) return open(method, options);
  let last = new FluxError('ENOENT', 'no PMI method is named');
  for (const name of (process.env.FLUX_PMI_CLIENT_METHODS ?? USUAL).split(' ').filter(Boolean)) {
    trace(`trying '${name}'`);
    try {
      const pmi = await open(name, options);
      trace('selected');
      return pmi;
    } catch (error) {
      last = asFluxError(error);
      trace(last.message);
      // A launcher that is there and fails is no reason to do without one.
      if (name === 'simple' && last.code !== 'ENOENT') break;
    }
  }
  throw last;
}

async function open(method: string, options: PmiOptions): Promise<Pmi> {
  const [name = '', path] = method.split(/:(.*)/s);
  if (!Object.hasOwn(methods, name)) {
    const known = Object.keys(methods).join(', ');
    throw new FluxError('ENOENT', `there is no PMI method '${name}'; there are ${known}`);
  }
  return methods[name]!(path, options);
}

function openLibrary(version: 1 | 2, path: string | undefined, refusesFlux = false): PmiClient {
  // In scripts of jobs Slurm's libpmi takes itself for that of a task, and nobody answers it.
  const { SLURM_JOB_ID, SLURM_STEP_ID } = process.env;
  if (!path && SLURM_JOB_ID !== undefined && SLURM_STEP_ID === undefined)
    throw new FluxError('ENOENT', 'Slurm has launched no tasks here: SLURM_STEP_ID is not set');
  const client = openPmi(path || undefined, version);
  if (!refusesFlux || !client.isFlux) return client;
  client.finalize();
  throw new FluxError('ENOENT', `${client.library} is Flux's own`);
}

/** A libpmi or libpmi2 as a `Pmi`. */
class LibraryPmi implements Pmi {
  readonly method: string;
  readonly #client: PmiClient;

  constructor(kind: 'libpmi' | 'libpmi2', client: PmiClient) {
    this.method = `${kind}:${client.library}`;
    this.#client = client;
  }

  get rank(): number {
    return this.#client.rank;
  }
  get size(): number {
    return this.#client.size;
  }
  get name(): string {
    return this.#client.kvsname;
  }

  async put(key: string, value: string): Promise<void> {
    this.#client.put(key, value);
    this.#client.commit();
  }

  async get(key: string): Promise<string> {
    return this.#client.get(key);
  }

  barrier(): Promise<void> {
    return this.#client.barrier();
  }

  async abort(message: string): Promise<never> {
    this.#client.abort(1, message);
    throw new FluxError('ECANCELED', message);
  }

  async finalize(): Promise<void> {
    this.#client.finalize();
  }

  close(): void {}
}
