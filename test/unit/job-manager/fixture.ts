/** The module job-manager; its broker, the KVS, the scheduler and the execution service are the test. */

import assert from 'node:assert/strict';
import { parseEntry } from '../../../core/broker/log-format.ts';
import { ModuleHost } from '../../../core/broker/module-host.ts';
import { errnoName, FluxError } from '../../../core/errno.ts';
import { decodeEventlog, type EventlogEntry, encodeEventlog } from '../../../core/formats/eventlog.ts';
import { encodeFluid } from '../../../core/formats/fluid.ts';
import { LookupFlag, OperationFlag } from '../../../core/formats/kvs-flags.ts';
import { makeVal, type Treeobj, valBytes } from '../../../core/formats/treeobj.ts';
import { type JsonObject, type JsonValue, parseJson, real, stringifyJson } from '../../../core/json.ts';
import { type Credentials, Role } from '../../../core/message/credentials.ts';
import { Flag, Message, MessageType, type Payload } from '../../../core/message/message.ts';
import { jobManagerModule } from '../../../workers/job-manager/job-manager.ts';
import type { Core, Housekeeping, Parts, QueueGate } from '../../../workers/job-manager/parts.ts';
import type { JobtapPlugin } from '../../../workers/job-manager/plugin.ts';
import { priorityDefault } from '../../../workers/job-manager/plugins/priority-default.ts';
import { moduleWorld } from '../../module-world.ts';
import { Agenda } from '../../sim/agenda.ts';

export const owner: Credentials = { userid: 100, rolemask: Role.owner };
export const guest: Credentials = { userid: 200, rolemask: Role.user };
export const otherGuest: Credentials = { userid: 201, rolemask: Role.user };

export const jobspec: JsonObject = {
  resources: [{ type: 'slot', count: 1, label: 'task', with: [{ type: 'core', count: 1 }] }],
  tasks: [{ command: ['true'], slot: 'task', count: { per_slot: 1 } }],
  attributes: { system: { duration: 0, environment: { HOME: '/' } } },
  version: 1,
};

export interface FixtureOptions {
  readonly config?: JsonObject;
  /** What the KVS has from an earlier life. */
  readonly kvs?: Map<string, string>;
  /** Plugins beside .priority-default. */
  readonly plugins?: readonly JobtapPlugin[];
  readonly loadable?: ReadonlyMap<string, JobtapPlugin>;
  /** Instead of parts that do nothing. */
  readonly parts?: Parts;
  /** Where state is kept beyond the instance's end. */
  readonly statedir?: string;
}

export interface Answer {
  readonly errno: string;
  readonly text: string | undefined;
  readonly payload: JsonValue | undefined;
}

export interface Submission {
  readonly id: bigint;
  readonly userid?: number;
  readonly urgency?: number;
  readonly flags?: number;
  readonly system?: JsonObject;
  /** What was submitted, where the manager is to store it. */
  readonly J?: string;
}

interface Operation {
  readonly key: string;
  readonly flags: number;
  readonly dirent: Treeobj | null;
}

export class Fixture {
  readonly removedNamespaces: string[] = [];
  readonly agenda = new Agenda();
  readonly kvs: Map<string, string>;
  /** What each commit changed. */
  readonly commits: (readonly Operation[])[] = [];
  readonly commitFlags: number[] = [];
  /** What commits fail with. */
  commitError: FluxError | undefined;
  /** Commits that wait for `releaseCommits`, while there is a list. */
  heldCommits: (() => void)[] | undefined;
  readonly logs: string[] = [];
  readonly published: { readonly topic: string; readonly payload: JsonValue | undefined }[] = [];
  /** Requests to the scheduler and to the execution service, in order. */
  readonly asked: Message[] = [];
  /** What the scheduler, on the same thread, answers before the request's sender goes on; undefined for a later answer. */
  schedule: ((request: Message) => JsonObject | undefined) | undefined;
  /** Whether queues let jobs be submitted, and have resources. */
  isEnabled = true;
  isStarted = true;
  /** R of jobs that housekeeping has got, by their ids; it keeps them while `keeps` is set. */
  readonly cleaned = new Map<bigint, JsonObject>();
  keeps = false;
  core!: Core;
  readonly host: ModuleHost;
  readonly #options: FixtureOptions;
  readonly #subscriptions = new Set<string>();
  readonly #answers = new Map<number, Answer[]>();
  #matchtag = 0;

  private constructor(options: FixtureOptions) {
    this.kvs = options.kvs ?? new Map();
    this.#options = options;
    const welcome = {
      name: 'job-manager',
      uuid: '11111111-2222-4333-8444-555555555555',
      rank: 0,
      size: 1,
      owner: owner.userid,
      args: [],
      config: options.config ?? {},
      attribute: (name: string) =>
        ({ 'security.owner': String(owner.userid), statedir: options.statedir, 'statedir-cleanup': '0' })[name],
    };
    this.host = new ModuleHost(welcome, moduleWorld(this.agenda, 'job-manager'), (message) => this.#take(message));
  }

  static async start(options: FixtureOptions = {}): Promise<Fixture> {
    const fixture = new Fixture(options);
    const importPlugin = async (path: string) => {
      throw new FluxError('ENOENT', `${path}: No such file or directory`);
    };
    await fixture.host.start(jobManagerModule({ parts: options.parts ?? fixture.#parts(), importPlugin }));
    await settled();
    return fixture;
  }

  /** Ends it; another one may start with its KVS. */
  async stop(): Promise<void> {
    await this.host.stop();
  }

  #parts(): Parts {
    const { plugins = [], loadable = new Map() } = this.#options;
    const gate: QueueGate = {
      checkSubmit: () => {
        if (!this.isEnabled) throw new FluxError('EINVAL', 'job submission is disabled');
      },
      isStarted: () => this.isStarted,
      save: () => [{ name: 'saved' }],
      restore: (version, saved) => {
        this.logs.push(`queues restored: ${version} ${stringifyJson(saved)}`);
      },
    };
    const housekeeping: Housekeeping = {
      start: (R, id) => {
        this.cleaned.set(id, R);
        if (!this.keeps) this.core.free(R, id, true);
      },
      hello: () => {},
      allocated: () => (this.keeps ? this.cleaned.values() : []),
      stats: () => ({ running: {} }),
    };
    return {
      plugins: [priorityDefault, ...plugins],
      loadable,
      queues: (core) => {
        this.core = core;
        return gate;
      },
      housekeeping: () => housekeeping,
      others: () => [],
    };
  }

  // ---- what the module asks

  #take(message: Message): void {
    if (message.type === MessageType.response) this.#takeResponse(message);
    else if (message.type === MessageType.event)
      this.published.push({ topic: message.topic ?? '', payload: message.json });
    else if (message.topic === 'log.append') this.logs.push(parseEntry(Buffer.from(message.bytes!).toString())!.text);
    else if (message.topic === 'event.subscribe') this.#subscriptions.add(message.unpack({ topic: 's' }).topic);
    else if (message.topic === 'event.unsubscribe') this.#subscriptions.delete(message.unpack({ topic: 's' }).topic);
    else if (message.topic?.startsWith('kvs.')) this.#answer(message);
    else {
      const answer = message.topic?.startsWith('sched.') ? this.schedule?.(message) : undefined;
      if (answer) this.host.receive(message.respond(answer, owner));
      else this.asked.push(message);
    }
  }

  #takeResponse(message: Message): void {
    this.#answers.get(message.matchtag)!.push({
      errno: message.errnum ? errnoName(message.errnum) : '',
      text: message.errnum ? message.errorText() : undefined,
      payload: message.errnum ? undefined : message.json,
    });
  }

  #answer(request: Message): void {
    const answer = () => {
      let response: Message;
      try {
        response = request.respond(this.#serve(request), owner);
      } catch (error) {
        const { errno, detail } = error as FluxError;
        response = request.respondError(errno, detail, owner);
      }
      queueMicrotask(() => this.host.receive(response));
    };
    if (this.heldCommits && request.topic === 'kvs.commit') this.heldCommits.push(answer);
    else answer();
  }

  async releaseCommits(): Promise<void> {
    const held = this.heldCommits ?? [];
    this.heldCommits = undefined;
    for (const answer of held) answer();
    await settled();
  }

  #serve(request: Message): Payload | undefined {
    if (request.topic === 'kvs.commit') {
      const { ops, flags } = request.unpack({ ops: 'a', flags: 'i' });
      this.commitFlags.push(flags);
      return this.#commit(ops as unknown as Operation[]);
    }
    if (request.topic === 'kvs.namespace-remove') {
      this.removedNamespaces.push(request.unpack({ namespace: 's' }).namespace);
      return undefined;
    }
    const { key, flags } = request.unpack({ key: 's', flags: 'i' });
    if (flags & (LookupFlag.readdir | LookupFlag.treeobj)) return { val: plain(this.#directory(key)) };
    const text = this.kvs.get(key);
    if (text === undefined) throw new FluxError('ENOENT');
    return { val: plain(makeVal(Buffer.from(text)) as unknown as JsonValue) };
  }

  /** A directory as a listing has it; its values are what tests look at, so references to them will do. */
  #directory(key: string): JsonObject {
    const data: Record<string, JsonObject> = {};
    for (const [path, text] of this.kvs) {
      if (!path.startsWith(`${key}.`)) continue;
      const [name, ...rest] = path.slice(key.length + 1).split('.');
      data[name!] = rest.length
        ? { ver: 1, type: 'dirref', data: [`sha1-${name}`] }
        : { ver: 1, type: 'val', data: Buffer.from(text).toString('base64') };
    }
    if (Object.keys(data).length === 0) throw new FluxError('ENOENT');
    return { ver: 1, type: 'dir', data };
  }

  #commit(operations: readonly Operation[]): JsonObject {
    if (this.commitError) throw this.commitError;
    this.commits.push(operations);
    for (const { key, flags, dirent } of operations) {
      if (dirent === null) {
        for (const path of [...this.kvs.keys()]) if (path === key || path.startsWith(`${key}.`)) this.kvs.delete(path);
      } else if (dirent.type === 'dir') {
        for (const [name, value] of Object.entries(dirent.data))
          this.kvs.set(`${key}.${name}`, String(valBytes(value)));
      } else if (dirent.type === 'dirref') this.kvs.set(key, dirent.data.join());
      else {
        const before = flags & OperationFlag.append ? (this.kvs.get(key) ?? '') : '';
        this.kvs.set(key, before + valBytes(dirent));
      }
    }
    return { rootref: 'x', rootseq: this.commits.length };
  }

  // ---- what the module is asked

  /** Sends a request; its answers come to what `taken` takes. */
  send(method: string, payload?: Payload, { flags = 0, user = owner, client = 'c1' } = {}): number {
    const matchtag = ++this.#matchtag;
    const topic = `job-manager.${method}`;
    const request = Message.request({ topic, payload, matchtag, flags, credentials: user });
    request.routes.push(client);
    this.#answers.set(matchtag, []);
    this.host.receive(request);
    return matchtag;
  }

  /** Sends a request that gets no answer. */
  notify(method: string, payload?: Payload, { user = owner, client = 'c1' } = {}): void {
    const topic = `job-manager.${method}`;
    const request = Message.request({ topic, payload, flags: Flag.noresponse, credentials: user });
    request.routes.push(client);
    this.host.receive(request);
  }

  /** The answers that have come and were not taken yet. */
  async taken(matchtag: number): Promise<Answer[]> {
    await settled();
    return this.#answers.get(matchtag)!.splice(0);
  }

  async ask(method: string, payload?: Payload, options?: { user?: Credentials; client?: string }): Promise<Answer> {
    const [answer] = await this.taken(this.send(method, payload, options));
    assert.ok(answer, `${method} was not answered`);
    return answer;
  }

  /** The payload of a request that must succeed. */
  async call(method: string, payload?: Payload, options?: { user?: Credentials }): Promise<JsonObject> {
    const { errno, text, payload: answer } = await this.ask(method, payload, options);
    assert.equal(errno, '', text);
    return answer as JsonObject;
  }

  /** Begins a stream. */
  stream(method: string, payload?: Payload, options: { client?: string; user?: Credentials } = {}): number {
    return this.send(method, payload, { flags: Flag.streaming, ...options });
  }

  async event(topic: string, payload?: Payload): Promise<void> {
    assert.ok(this.#subscriptions.has(topic), `nobody subscribes to ${topic}`);
    this.host.receive(Message.event(topic, payload));
    await settled();
  }

  isSubscribed(topic: string): boolean {
    return this.#subscriptions.has(topic);
  }

  /** Lets time pass and what is due then happen. */
  async pass(seconds: number): Promise<void> {
    const end = this.agenda.time + seconds;
    while (this.agenda.nextTime <= end) {
      this.agenda.step();
      await settled();
    }
    this.agenda.skipTo(end);
  }

  // ---- jobs

  submission({ id, userid = guest.userid, urgency = 16, flags = 0, system = {}, J }: Submission): JsonObject {
    const attributes = { system: { ...(jobspec.attributes as { system: JsonObject }).system, ...system } };
    return { id, userid, urgency, flags, t_submit: real(1_800_000_000.5), jobspec: { ...jobspec, attributes }, J };
  }

  /** Submits jobs whose jobspecs are stored unless J is given; returns what is wrong with which. */
  async submit(...submissions: readonly Submission[]): Promise<JsonValue> {
    const jobs = submissions.map((each) => this.submission(each));
    for (const job of jobs)
      if (job.J === undefined) this.kvs.set(keyOf(job.id as bigint, 'jobspec'), stringifyJson(job.jobspec!));
    return plain((await this.call('submit', { jobs })).errors!);
  }

  /** The events of a job in the KVS. */
  eventlog(id: bigint): EventlogEntry[] {
    return decodeEventlog(this.kvs.get(keyOf(id, 'eventlog')) ?? '');
  }

  /** Their names. */
  names(id: bigint): string {
    return this.eventlog(id)
      .map(({ name }) => name)
      .join(' ');
  }

  contextOf(id: bigint, name: string): JsonObject | undefined {
    return plain(this.eventlog(id).findLast((entry) => entry.name === name)?.context) as JsonObject | undefined;
  }

  async state(id: bigint): Promise<number | undefined> {
    const { jobs } = plain(await this.call('list', { max_entries: 0 })) as { jobs: { id: number; state: number }[] };
    return jobs.find((job) => BigInt(job.id) === id)?.state;
  }

  // ---- the scheduler and the execution service

  async schedulerComes(mode: JsonObject = { mode: 'unlimited' }, client = 'sched'): Promise<Answer[]> {
    const hello = await this.taken(this.send('sched-hello', {}, { flags: Flag.streaming, client }));
    assert.equal(hello.at(-1)?.errno, 'ENODATA');
    const { errno } = await this.ask('sched-ready', mode, { client });
    assert.equal(errno, '');
    return hello.slice(0, -1);
  }

  async executorComes(service = 'job-exec', client = 'exec'): Promise<void> {
    const { errno } = await this.ask('exec-hello', { service }, { client });
    assert.equal(errno, '');
  }

  /** The requests of a topic that were not looked at yet, by their ids. */
  takeAsked(topic: string): Map<bigint, Message> {
    const found = this.asked.filter((message) => message.topic === topic);
    for (const message of found) this.asked.splice(this.asked.indexOf(message), 1);
    return new Map(found.map((message) => [message.unpack({ id: 'I' }).id, message]));
  }

  /** Answers a request of the manager. */
  async answer(request: Message | undefined, payload: JsonObject): Promise<void> {
    this.host.receive(request!.respond(payload, owner));
    await settled();
  }

  /** Gives all jobs that ask for resources one core each, beginning with `firstCore`. */
  async grantAll(firstCore = 0): Promise<void> {
    let core = firstCore;
    for (const [id, request] of this.takeAsked('sched.alloc'))
      await this.answer(request, { id, type: 0, R: makeR(core++), annotations: { sched: { resource_summary: 'x' } } });
  }

  /** Runs a job that asks to be started, to its end. */
  async run(id: bigint, request: Message | undefined, status = 0): Promise<void> {
    await this.answer(request, { id, type: 'start', data: {} });
    await this.answer(request, { id, type: 'finish', data: { status } });
    await this.answer(request, { id, type: 'release', data: { ranks: 'all', final: true } });
  }

  /** Submits a job and leads it to its end. */
  async complete(submission: Submission, status = 0): Promise<void> {
    assert.deepEqual(await this.submit(submission), []);
    await this.grantAll();
    await this.run(submission.id, this.takeAsked('job-exec.start').get(submission.id), status);
  }
}

export function keyOf(id: bigint, name: string): string {
  return `${encodeFluid(id, 'kvs')}.${name}`;
}

export function makeR(core: number): JsonObject {
  return {
    version: 1,
    execution: {
      R_lite: [{ rank: '0', children: { core: String(core) } }],
      starttime: real(0),
      expiration: real(0),
      nodelist: ['node0'],
    },
    scheduling: { graph: 'big' },
  };
}

/** A job's data in the KVS, with an event log of these events. */
export function storedJob(id: bigint, events: readonly (string | readonly [string, JsonObject])[]): [string, string][] {
  const entries = events.map((event, index) => {
    const [name, context] = typeof event === 'string' ? [event, undefined] : event;
    return { timestamp: 1_700_000_000 + index, name, ...(context && { context }) };
  });
  return [
    [keyOf(id, 'eventlog'), encodeEventlog(entries)],
    [keyOf(id, 'jobspec'), stringifyJson(jobspec)],
  ];
}

export const submitted: readonly [string, JsonObject] = [
  'submit',
  { userid: guest.userid, urgency: 16, flags: 0, version: 1 },
];

/** Lets all promises that can go on do so. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** A value as JSON has it. */
export function plain<T extends JsonValue>(value: T | undefined): T {
  return JSON.parse(stringifyJson((value ?? null) as JsonValue)) as T;
}

/** What a stream has told of jobs, and who of them it was: `id: name name`. */
export function told(answers: readonly Answer[]): string[] {
  return answers.map(({ errno, payload }) => {
    if (errno) return errno;
    const { id, events } = plain(payload as JsonObject) as unknown as { id: number; events: { name: string }[] };
    return `${id}: ${events.map(({ name }) => name).join(' ')}`;
  });
}

export { parseJson };
