/**
 * What clients of an instance of several processes do while it has faults: requests of all kinds, events, commits with
 * lookups behind them, barriers and fences. It notes what each is to find, for `process-checks.ts`.
 */

import type { Payload } from '../../core/message/message.ts';
import { Message, NODEID_ANY } from '../../core/message/message.ts';
import type { Call, SimulatedClient } from './client.ts';
import type { SeededRandom } from './random.ts';
import type { Simulation } from './simulation.ts';

export interface Subscriber {
  readonly client: SimulatedClient;
  /** The first event that it may miss nothing from; undefined before its subscription was answered. */
  from: number | undefined;
}

export interface Commit {
  readonly call: Call;
  readonly key: string;
  /** What was looked up afterwards, by whoever. */
  readonly lookups: Call[];
}

/** Calls that are answered together, as soon as all are there. */
export interface Meeting {
  readonly name: string;
  readonly nprocs: number;
  readonly calls: { readonly client: SimulatedClient; readonly call: Call }[];
}

/** A request that was to be announced by an event before it was answered. */
export interface Announcement {
  readonly subscriber: Subscriber;
  readonly call: Call;
  readonly mark: number;
}

export class Workload {
  readonly subscribers: Subscriber[] = [];
  readonly commits: Commit[] = [];
  readonly barriers: Meeting[] = [];
  readonly fences: Meeting[] = [];
  readonly announcements: Announcement[] = [];
  /** Requests that a service answers as soon as they come, by the rank that has it. */
  readonly prompt: { readonly call: Call; readonly from: number; readonly to: number }[] = [];
  readonly #sim: Simulation;
  readonly #random: SeededRandom;
  readonly #clients: SimulatedClient[] = [];
  #count = 0;

  constructor(sim: Simulation, random: SeededRandom) {
    this.#sim = sim;
    this.#random = random;
  }

  /** A client of a rank that is there. */
  #join(): SimulatedClient | undefined {
    const rank = this.#random.integer(0, this.#sim.size - 1);
    if (!this.#isThere(rank)) return undefined;
    const client = this.#sim.connect(rank);
    this.#clients.push(client);
    return client;
  }

  #isThere(rank: number): boolean {
    return this.#sim.processes!.of(rank).isAlive && ['quorum', 'run'].includes(this.#sim.stateOf(rank));
  }

  /** Whether a rank has what it is asked for. */
  #isReady(rank: number): boolean {
    const { modules, lifecycle } = this.#sim.ranks[rank]!;
    return lifecycle.state === 'run' && modules.get('echo') !== undefined;
  }

  /** Whether a rank and those above it have the module that makes clients meet, which must not come when they wait already. */
  #meets(rank: number): boolean {
    const { topology } = this.#sim.processes!.of(rank);
    for (let at: number | undefined = rank; at !== undefined; at = topology.parent(at))
      if (!this.#sim.ranks[at]!.modules.get('barrier')) return false;
    return true;
  }

  #client(): SimulatedClient | undefined {
    const { isConnected } = this.#clients.length ? this.#random.pick(this.#clients) : { isConnected: false };
    if (!isConnected || this.#random.chance(0.05)) return this.#join();
    const connected = this.#clients.filter((client) => client.isConnected);
    return this.#random.pick(connected);
  }

  /** So many actions, each at a random time within some seconds. */
  schedule(count: number, seconds: number): void {
    for (let i = 0; i < count; i++) this.#sim.soon(() => this.#act(), seconds);
  }

  #act(): void {
    const client = this.#client();
    if (!client) return;
    const kind = this.#random.number();
    if (kind < 0.08) this.subscribe(client);
    else if (kind < 0.5) this.#request(client);
    else if (kind < 0.65) this.publish(client);
    else if (kind < 0.75) this.#announce();
    else if (kind < 0.93) this.commit(client);
    else if (kind < 0.97) this.#meet(this.barriers, 'barrier', (each, meeting) => this.#enterBarrier(each, meeting));
    else this.#meet(this.fences, 'fence', (each, meeting) => this.#enterFence(each, meeting));
  }

  subscribe(client: SimulatedClient): Subscriber | undefined {
    if (this.subscribers.some((each) => each.client === client)) return undefined;
    const subscriber: Subscriber = { client, from: undefined };
    this.subscribers.push(subscriber);
    void client.call('event.subscribe', { topic: '' }).final.then(({ errnum }) => {
      if (!errnum) subscriber.from = this.#sim.processes!.lastEvent(client.rank) + 1;
    });
    return subscriber;
  }

  publish(client: SimulatedClient): void {
    const payload = { number: this.#count++ };
    if (this.#random.chance(0.3)) {
      const text = Buffer.from(JSON.stringify(payload)).toString('base64');
      client.call('event.publish', { topic: 'test.event', flags: 0, payload: text }, { nodeid: 0 });
    } else client.send(Message.event('test.event', payload));
  }

  #request(client: SimulatedClient): void {
    const random = this.#random;
    const nodeid = random.chance(0.2) ? NODEID_ANY : random.integer(0, this.#sim.size - 1);
    const seconds = random.pick([0.001, 0.1, 5, 30]) * random.number();
    const kind = random.number();
    if (kind < 0.5) this.ask(client, nodeid === NODEID_ANY ? client.rank : nodeid);
    else if (kind < 0.7) client.call('echo.later', { seconds }, { nodeid });
    else if (kind < 0.8)
      client.stream('echo.stream', { count: random.integer(0, 5), seconds: seconds / 5 }, { nodeid });
    else if (kind < 0.85) client.call('echo.never', {}, { nodeid });
    else if (kind < 0.9) client.call('nosuch.thing', {}, { nodeid });
    else {
      const payload = { topic: 'echo.later', nodeid: random.integer(0, this.#sim.size - 1), payload: { seconds } };
      client.call('echo.relay', payload, { nodeid });
    }
  }

  /** Asks a rank for what it answers at once; some of it is large. */
  ask(client: SimulatedClient, to: number): Call {
    const length = this.#random.pick([0, 10, 300, 300, 20_000]) * this.#random.number();
    const call = client.call('echo.now', { text: 'x'.repeat(length) }, { nodeid: to });
    if (this.#isReady(to)) this.prompt.push({ call, from: client.rank, to });
    return call;
  }

  #announce(): void {
    const ready = this.subscribers.filter(({ client, from }) => client.isConnected && from !== undefined);
    if (!ready.length) return;
    const subscriber = this.#random.pick(ready);
    const nodeid = this.#random.pick([0, 0, this.#random.integer(0, this.#sim.size - 1)]);
    const mark = this.#count++;
    const call = subscriber.client.call('echo.announce', { topic: 'test.mark', mark }, { nodeid });
    this.announcements.push({ subscriber, call, mark });
  }

  // ---- the KVS

  commit(client: SimulatedClient): Commit {
    const key = `test.k${this.#count++}`;
    const call = client.call('kvs.commit', { namespace: 'primary', flags: 0, ops: [put(key)] });
    const commit: Commit = { call, key, lookups: [] };
    this.commits.push(commit);
    void call.final.then((answer) => {
      if (answer.errnum) return;
      this.#sim.soon(() => this.lookup(commit, client), 0.01);
      const other = this.#client();
      if (!other) return;
      if (this.#random.chance(0.5)) {
        this.lookup(commit, other);
        return;
      }
      const { rootseq } = answer.json as { rootseq: number };
      const waited = other.call('kvs.wait-version', { namespace: 'primary', rootseq }).final;
      void waited.then((answer) => {
        if (!answer.errnum) this.lookup(commit, other);
      });
    });
    return commit;
  }

  lookup({ key, lookups }: Commit, client: SimulatedClient): Call | undefined {
    if (!client.isConnected) return undefined;
    const call = client.call('kvs.lookup', { namespace: 'primary', key, flags: 0 });
    lookups.push(call);
    return call;
  }

  // ---- meetings

  /** Clients of some ranks come, each in its time; some never do. */
  #meet(list: Meeting[], kind: string, enter: (client: SimulatedClient, meeting: Meeting) => void): void {
    const nprocs = this.#random.integer(2, 6);
    const meeting: Meeting = { name: `${kind}-${this.#count++}`, nprocs, calls: [] };
    list.push(meeting);
    const seconds = this.#random.pick([0.001, 0.1, 1]);
    for (let i = this.#random.chance(0.1) ? 1 : 0; i < nprocs; i++)
      this.#sim.soon(() => {
        const client = this.#join();
        if (client && this.#meets(client.rank)) enter(client, meeting);
      }, seconds);
  }

  #enterBarrier(client: SimulatedClient, { name, nprocs, calls }: Meeting): void {
    calls.push({ client, call: client.call('barrier.enter', { name, nprocs, count: 1 }) });
  }

  #enterFence(client: SimulatedClient, { name, nprocs, calls }: Meeting): void {
    const ops = [put(`test.${name}.${calls.length}`)];
    const payload: Payload = { namespace: 'primary', name, nprocs, flags: 0, ops };
    calls.push({ client, call: client.call('kvs.fence', payload) });
  }
}

export const VALUE = Buffer.from('v').toString('base64');

const put = (key: string) => ({ key, flags: 0, dirent: { ver: 1, type: 'val', data: VALUE } });
