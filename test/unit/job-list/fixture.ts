/** The module job-list; its broker, the KVS and the journal of the job manager are the test. */

import assert from 'node:assert/strict';
import { parseEntry } from '../../../core/broker/log-format.ts';
import { ModuleHost } from '../../../core/broker/module-host.ts';
import { endOfStream, errnoName } from '../../../core/errno.ts';
import { makeDir, makeVal, type Treeobj, valBytes } from '../../../core/formats/treeobj.ts';
import type { KvsOperation } from '../../../core/handle/kvs-transaction.ts';
import { type JsonObject, type JsonValue, parseJson, stringifyJson } from '../../../core/json.ts';
import { type Credentials, Role } from '../../../core/message/credentials.ts';
import { Flag, Message, MessageType, type Payload } from '../../../core/message/message.ts';
import { jobListModule } from '../../../workers/job-list/job-list.ts';
import { SlowReaders } from '../../../workers/rexec/slow-readers.ts';
import { moduleWorld } from '../../module-world.ts';
import { Agenda } from '../../sim/agenda.ts';

export const owner: Credentials = { userid: 100, rolemask: Role.owner };
export const guest: Credentials = { userid: 200, rolemask: Role.user };

export interface Answer {
  readonly errno: string;
  readonly text: string | undefined;
  readonly payload: JsonValue | undefined;
}

export interface FixtureOptions {
  readonly config?: JsonObject;
  /** Jobs that there are from the start, as the journal tells of them. */
  readonly backlog?: readonly JsonObject[];
  /** The journal has not told all yet. */
  readonly isLate?: boolean;
  readonly size?: number;
  /** What the KVS keeps beyond the instance's end; nothing is kept when it is absent. */
  readonly store?: Map<string, string>;
  /** Seconds by the clock that each look at it takes. */
  readonly lookTakes?: number;
}

export interface AskOptions {
  readonly user?: Credentials;
  readonly client?: string;
  readonly flags?: number;
}

const END_OF_BACKLOG: JsonObject = { id: -1, events: [] };

export class Fixture {
  readonly agenda = new Agenda();
  readonly slowReaders = new SlowReaders();
  readonly logs: string[] = [];
  readonly host: ModuleHost;
  /** Jobs that the KVS has, and lookups of it that are not answered yet. */
  readonly kvs = new Set<string>();
  readonly lookups: Message[] = [];
  /** Lookups of the KVS are answered when the test says so. */
  holdsLookups = false;
  /** Times that the journal was asked for. */
  journals = 0;
  /** Ids of jobs that the journal was not to tell of. */
  known: readonly number[] = [];
  hasManager = true;
  #journal: Message | undefined;
  readonly #backlog: readonly JsonObject[];
  readonly #isLate: boolean;
  readonly #store: Map<string, string> | undefined;
  readonly #answers = new Map<number, Answer[]>();
  #matchtag = 0;

  private constructor({ config = {}, backlog = [], isLate = false, size = 4, store, lookTakes = 0 }: FixtureOptions) {
    this.#backlog = backlog;
    this.#store = store;
    this.#isLate = isLate;
    const world = moduleWorld(this.agenda, 'job-list');
    const { clock } = world;
    let looks = 0;
    const slowClock = { ...clock, monotonic: () => clock.monotonic() + looks++ * lookTakes };
    const welcome = {
      name: 'job-list',
      uuid: '11111111-2222-4333-8444-555555555555',
      rank: 0,
      size,
      owner: owner.userid,
      args: [],
      config,
      attribute: (name: string) => (name === 'statedir' && store ? '/state' : undefined),
    };
    this.host = new ModuleHost(welcome, { ...world, clock: slowClock }, (message) => this.#take(message));
  }

  static async start(options: FixtureOptions = {}): Promise<Fixture> {
    const fixture = new Fixture(options);
    await fixture.host.start(jobListModule(fixture.slowReaders));
    await fixture.settle();
    return fixture;
  }

  // ---- what the module asks

  #take(message: Message): void {
    if (message.type === MessageType.response) {
      this.#answers.get(message.matchtag)?.push({
        errno: message.errnum ? errnoName(message.errnum) : '',
        text: message.errnum ? message.errorText() : undefined,
        payload: message.errnum ? undefined : message.json,
      });
    } else if (message.topic === 'log.append') this.logs.push(parseEntry(Buffer.from(message.bytes!).toString())!.text);
    else if (message.topic === 'job-manager.events-journal') this.#openJournal(message);
    else if (message.topic === 'kvs.commit') this.#commit(message);
    else if (message.topic === 'kvs.lookup') this.#lookUp(message);
  }

  #commit(request: Message): void {
    const { ops } = request.unpack({ ops: 'a' });
    for (const { key, dirent } of ops as unknown as KvsOperation[]) {
      for (const path of [...this.#store!.keys()]) if (`${path}.`.startsWith(`${key}.`)) this.#store!.delete(path);
      if (dirent) this.#store!.set(key, String(valBytes(dirent)));
    }
    queueMicrotask(() => this.host.receive(request.respond({ rootref: 'x', rootseq: 1 }, owner)));
  }

  /** A key of the store, or a directory with what is below it. */
  #stored(key: string): Treeobj | undefined {
    const text = this.#store?.get(key);
    if (text !== undefined) return makeVal(Buffer.from(text));
    const below = [...(this.#store ?? [])].filter(([path]) => path.startsWith(`${key}.`));
    if (below.length === 0) return undefined;
    return makeDir(
      Object.fromEntries(below.map(([path, value]) => [path.slice(key.length + 1), makeVal(Buffer.from(value))])),
    );
  }

  #openJournal(request: Message): void {
    this.journals++;
    if (!this.hasManager) {
      queueMicrotask(() => this.host.receive(request.respondError(38, undefined, owner)));
      return;
    }
    const { full, batched, known } = request.unpack({ full: 'b', batched: 'b', known: 'a' });
    assert.ok(full && batched);
    this.known = known.map(Number);
    this.#journal = request;
    queueMicrotask(() => {
      for (const record of this.#backlog) this.tell(record);
      if (!this.#isLate) this.tell(END_OF_BACKLOG);
      // The module starts only once the journal has begun.
      else if (!this.#backlog.length) this.tell({ id: 1, events: [] });
    });
  }

  #lookUp(request: Message): void {
    this.lookups.push(request);
    if (!this.holdsLookups) queueMicrotask(() => this.answerLookups());
  }

  answerLookups(): void {
    for (const request of this.lookups.splice(0)) {
      const { key } = request.unpack({ key: 's' });
      const val = this.kvs.has(key) ? makeDir({}) : this.#stored(key);
      this.host.receive(val ? request.respond({ val } as never, owner) : request.respondError(2, undefined, owner));
    }
  }

  /** The journal says something. */
  tell(record: JsonObject): void {
    // As it is when it comes over a socket.
    this.host.receive(this.#journal!.respond(parseJson(stringifyJson({ jobs: [record] })), owner));
  }

  /** The journal has told all that has happened so far. */
  tellEnd(): void {
    this.tell(END_OF_BACKLOG);
  }

  /** The job manager goes away. */
  endJournal(): void {
    this.host.receive(this.#journal!.respondError(endOfStream.errno, undefined, owner));
  }

  event(topic: string, payload: Payload): void {
    this.host.receive(Message.event(topic, payload, 0, owner));
  }

  // ---- what the module is asked

  send(method: string, payload?: Payload, { flags = 0, user = owner, client = 'c1' }: AskOptions = {}): number {
    const matchtag = ++this.#matchtag;
    const request = Message.request({ topic: `job-list.${method}`, payload, matchtag, flags, credentials: user });
    request.routes.push(client);
    this.#answers.set(matchtag, []);
    this.host.receive(request);
    return matchtag;
  }

  notify(method: string, client = 'c1', user = owner): void {
    const request = Message.request({ topic: `job-list.${method}`, flags: Flag.noresponse, credentials: user });
    request.routes.push(client);
    this.host.receive(request);
  }

  /** The answers that have come and were not taken yet. */
  taken(matchtag: number): Answer[] {
    return this.#answers.get(matchtag)!.splice(0);
  }

  /** Lets all happen that can happen now. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 2; quiet++) {
      await new Promise((resolve) => setImmediate(resolve));
      const until = this.agenda.time + 0.001;
      while (this.agenda.nextTime <= until) {
        this.agenda.step();
        quiet = 0;
      }
    }
  }

  /** Lets a time pass. */
  async pass(seconds: number): Promise<void> {
    const until = this.agenda.time + seconds;
    while (this.agenda.nextTime <= until) {
      this.agenda.step();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.agenda.skipTo(until);
    await this.settle();
  }

  async ask(method: string, payload?: Payload, options?: AskOptions): Promise<Answer> {
    const matchtag = this.send(method, payload, options);
    await this.settle();
    const [answer] = this.taken(matchtag);
    assert.ok(answer, `${method} has no answer`);
    return answer;
  }

  async call(method: string, payload?: Payload, options?: AskOptions): Promise<JsonObject> {
    const { errno, text, payload: answer } = await this.ask(method, payload, options);
    assert.equal(errno, '', text);
    return answer as JsonObject;
  }

  /** The jobs that a request lists, as one answer has them. */
  async list(request: JsonObject = {}, options?: AskOptions): Promise<JsonObject[]> {
    const { jobs } = await this.call('list', { max_entries: 0, attrs: [], ...request }, options);
    return jobs as unknown as JsonObject[];
  }

  /** The ids of the jobs that a constraint lets pass. */
  async ids(constraint?: JsonValue, options?: AskOptions): Promise<number[]> {
    return (await this.list(constraint === undefined ? {} : { constraint }, options)).map(({ id }) => Number(id));
  }
}
