/** Simulated ranks with the KVS and the module job-info; jobs are what the test puts into the KVS. */

import { encodeEventlogEntry } from '../../../core/formats/eventlog.ts';
import { jobKey, jobNamespace } from '../../../core/formats/job-keys.ts';
import { KvsTransaction } from '../../../core/handle/kvs-transaction.ts';
import type { JsonObject, JsonValue } from '../../../core/json.ts';
import { type Credentials, Role } from '../../../core/message/credentials.ts';
import { type Call, owner, type SimulatedClient } from '../../sim/client.ts';
import { Simulation } from '../../sim/simulation.ts';

export const USER = 200;
/** Who has submitted the jobs. */
export const user: Credentials = { userid: USER, rolemask: Role.user };
export const other: Credentials = { userid: 300, rolemask: Role.user };

export const ID = 42n << 24n;

export class Jobs {
  readonly sim: Simulation;
  /** The instance owner at rank 0. */
  readonly client: SimulatedClient;
  /** Seconds since the epoch, of the next event. */
  #time = 1000;

  private constructor(sim: Simulation) {
    this.sim = sim;
    this.client = sim.connect(0, owner);
  }

  static async start(size = 1): Promise<Jobs> {
    const sim = new Simulation({ size, rc1: '', rc3: '' });
    await sim.start();
    const jobs = new Jobs(sim);
    for (let rank = 0; rank < size; rank++)
      for (const path of ['content', 'kvs', 'kvs-watch', 'job-info'])
        await jobs.connect(owner, rank).rpc('module.load', { path, args: [] });
    return jobs;
  }

  connect(credentials: Credentials = owner, rank = 0): SimulatedClient {
    return this.sim.connect(rank, credentials);
  }

  settle(): Promise<void> {
    return this.sim.settle();
  }

  // ---- what is in the KVS

  async commit(transaction: KvsTransaction, namespace = 'primary'): Promise<void> {
    const ops = transaction.operations as unknown as JsonValue;
    await this.client.rpc('kvs.commit', { namespace, flags: 0, ops });
    await this.settle();
  }

  /** A job was submitted. */
  async submit(id = ID, values: JsonObject = {}): Promise<void> {
    const transaction = new KvsTransaction();
    for (const [key, value] of Object.entries(values)) transaction.putJson(jobKey(id, key), value!);
    await this.commit(transaction);
    await this.event('submit', { userid: USER, urgency: 16, flags: 0, version: 1 }, id);
  }

  async event(name: string, context?: JsonObject, id = ID): Promise<void> {
    await this.commit(new KvsTransaction().append(jobKey(id, 'eventlog'), this.line(name, context)));
  }

  line(name: string, context?: JsonObject): string {
    return encodeEventlogEntry({ timestamp: this.#time++, name, ...(context && { context }) });
  }

  /** The job begins to run: it has a namespace. */
  async begin(id = ID): Promise<void> {
    await this.client.rpc('kvs.namespace-create', {
      namespace: jobNamespace(id),
      rootref: EMPTY,
      owner: USER,
      flags: 0,
    });
    await this.event('start', undefined, id);
  }

  /** Something is written in the job's namespace. */
  write(path: string, text: string, id = ID): Promise<void> {
    return this.commit(new KvsTransaction().append(path, text), jobNamespace(id));
  }

  /** The job's namespace is removed, and what was in it is in the primary one. */
  async move(values: JsonObject, id = ID): Promise<void> {
    const transaction = new KvsTransaction();
    for (const [path, text] of Object.entries(values)) transaction.put(jobKey(id, `guest.${path}`), String(text));
    await this.commit(transaction);
    await this.client.rpc('kvs.namespace-remove', { namespace: jobNamespace(id) });
    await this.settle();
  }

  // ---- what is asked

  /** Watches an event log. */
  watch(path: string, flags = 0, client = this.client, id = ID): Call {
    return client.stream('job-info.eventlog-watch', { id, path, flags });
  }

  async stats(): Promise<JsonObject> {
    return (await this.client.rpc('job-info.stats-get')) as JsonObject;
  }
}

/** The root of a namespace in which nothing was ever stored. */
const EMPTY = 'sha1-c0a9faf907dda6216fd73bf81d0b3b21a1a8cb91';

/** What came: names of events, `-` for an answer without one, values as JSON texts, an error's code. */
export function told({ answers }: Call): string[] {
  return answers.map((answer) => {
    if (answer.errnum) return answer.error().code;
    const { event, ...values } = (answer.json ?? {}) as JsonObject;
    if (event !== undefined) return String((JSON.parse(String(event)) as JsonObject).name);
    return Object.keys(values).length ? JSON.stringify(values) : '-';
  });
}
