/** Jobs that an instance was given before it is killed, what was seen of them, and what may be found of them later. */

import fs from 'node:fs';
import os from 'node:os';
import { encodeFluid } from '../../core/formats/fluid.ts';
import { wrapUnsigned } from '../../core/formats/job-envelope.ts';
import { JobResult, JobState } from '../../core/formats/job-state.ts';
import type { Handle } from '../../core/handle/handle.ts';
import type { JsonObject } from '../../core/json.ts';
import type { SeededRandom } from '../sim/random.ts';

/** What a job is given when it is submitted. */
type Kind = 'short' | 'long' | 'held' | 'dependent' | 'canceled';

/** Urgency of jobs, and that of those which are held. */
const URGENCY = 16;
const HELD = 0;
/** What a task that is run twice would be found by, and what it leaves behind it. */
const LEFT_SECONDS = 1000;

/** What became of a job. */
export interface Outcome {
  readonly id: bigint;
  readonly state: number;
  readonly result: number;
  readonly exception: string;
}

export interface FoundJob extends Outcome {
  readonly isHeld: boolean;
}

export class SoakJobs {
  readonly #file: string;
  /** Those whose submission was answered, by id. */
  readonly #kinds = new Map<bigint, Kind>();
  /** Those of whose end a watcher of their log was told. */
  readonly #ended = new Set<bigint>();

  /** @param file each task appends the id of its job to it */
  constructor(file: string) {
    this.#file = file;
    fs.writeFileSync(file, '');
  }

  get count(): number {
    return this.#kinds.size;
  }

  get endedCount(): number {
    return this.#ended.size;
  }

  /** Submits jobs one after the other as long as `goOn` says so; rejects when the instance is gone. */
  async submit(handle: Handle, random: SeededRandom, goOn: () => boolean): Promise<void> {
    let last: bigint | undefined;
    while (goOn()) {
      const kind: Kind = random.pick(['short', 'short', 'short', 'long', 'held', 'dependent', 'canceled']);
      const after = kind === 'dependent' ? last : undefined;
      const { id } = await handle.rpc<{ id: number }>('job-ingest.submit', {
        J: wrapUnsigned(JSON.stringify(this.#jobspec(kind, random, after)), os.userInfo().uid),
        urgency: kind === 'held' ? HELD : URGENCY,
        flags: 0,
      });
      last = BigInt(id);
      this.#check(last);
      this.#kinds.set(last, kind);
      void this.#watch(handle, last);
      if (kind === 'canceled') void this.#cancel(handle, last);
    }
  }

  /** Ids go on where they were. */
  #check(id: bigint): void {
    for (const known of this.#kinds.keys())
      if (known >= id) throw new Error(`job ${encodeFluid(id)} comes after ${encodeFluid(known)}`);
  }

  #jobspec(kind: Kind, random: SeededRandom, after: bigint | undefined): JsonObject {
    const seconds = kind === 'long' ? LEFT_SECONDS : random.integer(0, 100) / 1000;
    // It leaves a process behind when only its shell is killed.
    const script = `echo "$FLUX_JOB_ID" >> '${this.#file}'; sleep ${seconds}; true`;
    const dependency = after !== undefined && {
      dependencies: [{ scheme: 'afterany', value: encodeFluid(after) }],
    };
    const duration = kind === 'long' ? 1 : 0;
    const environment = { PATH: process.env.PATH ?? '' };
    return {
      version: 1,
      resources: [{ type: 'slot', count: 1, label: 'task', with: [{ type: 'core', count: 1 }] }],
      tasks: [{ command: ['sh', '-c', script], slot: 'task', count: { per_slot: 1 } }],
      attributes: { system: { duration, cwd: '/tmp', environment, ...dependency } },
    };
  }

  async #watch(handle: Handle, id: bigint): Promise<void> {
    try {
      const log = handle.stream<{ event: string }>('job-info.eventlog-watch', { id, path: 'eventlog', flags: 0 });
      for await (const { event } of log) if (/"name":"clean"/.test(event)) this.#ended.add(id);
    } catch {
      // The instance is gone, or was about to go.
    }
  }

  async #cancel(handle: Handle, id: bigint): Promise<void> {
    await handle.rpc('job-manager.raise', { id, type: 'cancel', severity: 0 }).catch(() => {});
  }

  /**
   * Compares what is found after a restart with what may be.
   *
   * @throws Error a job is lost, was run twice, or is not as it must be
   */
  settle(found: readonly Outcome[]): { readonly died: number } {
    const byId = new Map(found.map((job) => [job.id, job]));
    const ran = this.#runs();
    let died = 0;
    for (const [id, kind] of this.#kinds) {
      const job = byId.get(id);
      const text = encodeFluid(id);
      const fail = (why: string): never => {
        throw new Error(
          `job ${text} (${kind}) ${why}: ${JSON.stringify(job, (_, v) => (typeof v === 'bigint' ? String(v) : v))}`,
        );
      };
      if (!job) return fail('is lost');
      const runs = ran.get(text) ?? 0;
      if (runs > 1) fail(`was run ${runs} times`);
      const isOver = job.state === JobState.inactive;
      if (this.#ended.has(id) && !isOver) fail('was over, and is not now');
      if (isOver && job.result === JobResult.completed && runs !== 1) fail(`is completed and was run ${runs} times`);
      if (isOver && job.result === JobResult.failed && /instance went down/.test(job.exception)) died++;
      else if (isOver && job.result === JobResult.failed) fail('failed for another reason than a kill');
    }
    return { died };
  }

  /** How often each job was run, by its id. */
  #runs(): Map<string, number> {
    const runs = new Map<string, number>();
    for (const id of fs.readFileSync(this.#file, 'utf8').split('\n').filter(Boolean))
      runs.set(id, (runs.get(id) ?? 0) + 1);
    return runs;
  }
}

/** All jobs that an instance knows. */
export async function listJobs(handle: Handle): Promise<FoundJob[]> {
  const request = {
    max_entries: 0,
    attrs: ['state', 'result', 'exception_note', 'urgency'],
    since: 0,
    constraint: {},
    batch: 100,
  };
  const found: FoundJob[] = [];
  for await (const { jobs } of handle.stream<{ jobs: JsonObject[] }>('job-list.list', request))
    for (const { id, state, result, exception_note, urgency } of jobs)
      found.push({
        id: BigInt(id as number),
        state: Number(state),
        result: Number(result ?? 0),
        exception: String(exception_note ?? ''),
        isHeld: urgency === HELD,
      });
  return found;
}

/** Processes that tasks of an instance with this folder have left. */
export function tasksLeft(rundir: string): number[] {
  return fs.readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const environment = fs.readFileSync(`/proc/${name}/environ`, 'latin1');
      const isTask = environment.includes(`FLUX_URI=local://${rundir}/`) && environment.includes('FLUX_KVS_NAMESPACE=');
      return isTask ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}
