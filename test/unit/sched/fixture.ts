/** The module of the scheduler; the resource module, the job manager and the KVS are the test. */

import assert from 'node:assert/strict';
import { parseEntry } from '../../../core/broker/log-format.ts';
import { ModuleHost } from '../../../core/broker/module-host.ts';
import { errnoName, FluxError } from '../../../core/errno.ts';
import { encodeEventlogEntry } from '../../../core/formats/eventlog.ts';
import { jobKey } from '../../../core/formats/job-keys.ts';
import { Jobspec, type SlotRequest } from '../../../core/formats/jobspec.ts';
import { makeVal } from '../../../core/formats/treeobj.ts';
import { type JsonObject, type JsonValue, parseJson, stringifyJson } from '../../../core/json.ts';
import { type Credentials, Role } from '../../../core/message/credentials.ts';
import { Flag, Message, MessageType, type Payload } from '../../../core/message/message.ts';
import { schedModule } from '../../../workers/sched/sched.ts';
import type { Policy } from '../../../workers/sched/scheduler.ts';
import { moduleWorld } from '../../module-world.ts';
import { Agenda } from '../../sim/agenda.ts';

export const owner: Credentials = { userid: 100, rolemask: Role.owner };
export const guest: Credentials = { userid: 200, rolemask: Role.user };

/** Seconds since 1970 at which every test begins. */
export const START = 1_800_000_000;

export interface Hello {
  readonly id: number;
  readonly R?: JsonObject;
  readonly free?: string;
  /** The expiration that it got later. */
  readonly expiration?: number;
}

export interface FixtureOptions {
  readonly policy?: Policy;
  readonly args?: readonly string[];
  readonly R?: JsonObject;
  readonly up?: string;
  readonly hello?: readonly Hello[];
  /** What requests for these topics fail with. */
  readonly refuses?: Readonly<Record<string, FluxError>>;
}

/** R of nodes that are alike. */
export function uniform(nodes: number, cores: number, gpus = 0, more: JsonObject = {}): JsonObject {
  const last = nodes - 1;
  const ids = (count: number) => (count > 1 ? `0-${count - 1}` : '0');
  return {
    version: 1,
    execution: {
      R_lite: [{ rank: ids(nodes), children: { core: ids(cores), ...(gpus && { gpu: ids(gpus) }) } }],
      starttime: 0,
      expiration: 0,
      nodelist: [nodes > 1 ? `node[0-${last}]` : 'node0'],
      ...more,
    },
  };
}

/** A jobspec as it travels to the scheduler. */
export function jobspec(request: Partial<SlotRequest> = {}, duration = 0, system: JsonObject = {}): JsonObject {
  const spec = Jobspec.forSlots(['true'], { slots: 1, cores: 1, ...request });
  spec.setDuration(duration);
  for (const [key, value] of Object.entries(system)) spec.set(key, value!);
  return parseJson(spec.encode()) as JsonObject;
}

export class Fixture {
  readonly agenda = new Agenda();
  readonly kvs = new Map<string, string>();
  readonly logs: string[] = [];
  readonly host: ModuleHost;
  /** Payloads that were sent by topic. */
  readonly sent = new Map<string, JsonValue[]>();
  readonly services: string[] = [];
  readonly #options: FixtureOptions;
  readonly #answers = new Map<number, JsonObject[]>();
  #acquire: Message | undefined;
  #matchtag = 0;

  private constructor(options: FixtureOptions) {
    this.#options = options;
    for (const { id, R, expiration } of options.hello ?? []) {
      if (R) this.kvs.set(jobKey(BigInt(id), 'R'), stringifyJson(R));
      const update = { timestamp: START, name: 'resource-update', context: { expiration: expiration! } };
      if (expiration !== undefined) this.kvs.set(jobKey(BigInt(id), 'eventlog'), encodeEventlogEntry(update));
    }
    const welcome = {
      name: 'sched-simple',
      uuid: '11111111-2222-4333-8444-555555555555',
      rank: 0,
      size: 4,
      owner: owner.userid,
      args: options.args ?? [],
      config: {},
      attribute: () => undefined,
    };
    this.host = new ModuleHost(welcome, moduleWorld(this.agenda, 'sched'), (message) => this.#take(message));
  }

  static async start(options: FixtureOptions = {}): Promise<Fixture> {
    const fixture = new Fixture(options);
    await fixture.host.start(schedModule(options.policy ?? 'fifo'));
    await fixture.settle();
    return fixture;
  }

  /** Lets all be done that can be done now. */
  async settle(): Promise<void> {
    for (let round = 0; round < 1000; round++) {
      await flushed();
      if (this.agenda.nextTime > this.agenda.time + 1e-3) return;
      this.agenda.step();
    }
    throw new Error('it never settles');
  }

  /** Moves the clock on, and lets all be done that is due. */
  async pass(seconds: number): Promise<void> {
    const until = this.agenda.time + seconds;
    while (this.agenda.nextTime <= until) {
      this.agenda.step();
      await flushed();
    }
    this.agenda.skipTo(until);
    await this.settle();
  }

  // ---- what the module asks

  #take(message: Message): void {
    const { topic = '' } = message;
    if (message.type === MessageType.response) {
      const said = message.errnum
        ? { errno: errnoName(message.errnum), text: message.errorText() }
        : (plain(message.json) as JsonObject);
      this.#answers.get(message.matchtag)!.push(said);
    } else if (topic === 'log.append') this.logs.push(parseEntry(Buffer.from(message.bytes!).toString())!.text);
    else {
      const payloads = this.sent.get(topic) ?? [];
      this.sent.set(topic, [...payloads, (message.json ?? null) as JsonValue]);
      if (message.wantsResponse) this.#serve(message);
    }
  }

  #serve(request: Message): void {
    const { topic = '' } = request;
    const refusal = this.#options.refuses?.[topic];
    const said = refusal ? [refusal] : this.#answersTo(topic, request);
    for (const each of said)
      queueMicrotask(() =>
        this.host.receive(
          each instanceof FluxError
            ? request.respondError(each.errno, each.detail, owner)
            : request.respond(each, owner),
        ),
      );
  }

  #answersTo(topic: string, request: Message): (JsonObject | FluxError | undefined)[] {
    switch (topic) {
      case 'service.add':
        this.services.push(request.unpack({ service: 's' }).service);
        return [undefined];
      case 'resource.acquire':
        this.#acquire = request;
        return [{ resources: this.#options.R ?? uniform(2, 4), up: this.#options.up ?? '0-1' }];
      case 'job-manager.sched-hello': {
        const jobs = this.#options.hello ?? [];
        const told = jobs.map(({ id, free }) => ({ id, priority: 16, userid: 100, t_submit: 5.5, free }));
        return [...told, new FluxError('ENODATA')];
      }
      case 'job-manager.sched-ready':
        return [{ count: 0 }];
      case 'job-manager.raise':
        return [undefined];
      case 'kvs.lookup': {
        const text = this.kvs.get(request.unpack({ key: 's' }).key);
        return [text === undefined ? new FluxError('ENOENT') : { val: { ...makeVal(Buffer.from(text)) } }];
      }
      default:
        return [new FluxError('ENOSYS')];
    }
  }

  /** The resource module tells of a change. */
  async change(payload: JsonObject): Promise<void> {
    this.host.receive(this.#acquire!.respond(payload, owner));
    await this.settle();
  }

  /** The resource module ends the stream. */
  async endAcquire(error: FluxError): Promise<void> {
    this.host.receive(this.#acquire!.respondError(error.errno, error.detail, owner));
    await this.settle();
  }

  // ---- what the module is asked

  /** Sends a request; what it is answered is in the list that is returned. */
  send(topic: string, payload?: Payload, { flags = 0, user = owner, client = 'job-manager' } = {}): JsonObject[] {
    const matchtag = ++this.#matchtag;
    const request = Message.request({ topic, payload, matchtag, flags, credentials: user });
    request.routes.push(client);
    const answers: JsonObject[] = [];
    this.#answers.set(matchtag, answers);
    this.host.receive(request);
    return answers;
  }

  /** Sends a request that must have no answer. */
  async tell(topic: string, payload?: Payload): Promise<void> {
    const answers = this.send(topic, payload);
    await this.settle();
    assert.deepEqual(answers, [], topic);
  }

  async notify(topic: string, payload?: Payload): Promise<void> {
    const request = Message.request({ topic, payload, flags: Flag.noresponse, credentials: owner });
    request.routes.push('job-manager');
    this.host.receive(request);
    await this.settle();
  }

  /** Sends a request and returns its only answer. */
  async ask(topic: string, payload?: Payload, user = owner): Promise<JsonObject> {
    const answers = this.send(topic, payload, { user });
    await this.settle();
    assert.equal(answers.length, 1, `${topic} has ${answers.length} answers`);
    return answers[0]!;
  }

  /** Asks for resources for a job; the answers come to the list that is returned. */
  alloc(id: number, spec: JsonObject, { priority = 16, userid = 100 } = {}): JsonObject[] {
    const payload = { id, priority, userid, t_submit: START + id, jobspec: spec };
    return this.send('sched.alloc', payload);
  }

  /** As `alloc`, and lets it be decided. */
  async submit(id: number, spec: JsonObject, options?: { priority?: number; userid?: number }): Promise<JsonObject[]> {
    const answers = this.alloc(id, spec, options);
    await this.settle();
    return answers;
  }

  /** A job gives back what it was given last, or a part of it. */
  async free(answers: readonly JsonObject[], R_lite?: JsonValue): Promise<void> {
    const { id, R } = answers.at(-1)!;
    const part = R_lite === undefined ? R! : { version: 1, execution: { R_lite } };
    await this.tell('sched.free', { id, R: part, final: R_lite === undefined });
  }
}

/** What a job was given, as people read it; a note that it was refused; or that it waits. */
export function outcome(answers: readonly JsonObject[]): string {
  const last = answers.findLast(({ type }) => type !== 1);
  if (!last) return 'waits';
  switch (last.type) {
    case 0:
      return String(((last.annotations as JsonObject).sched as JsonObject).resource_summary);
    case 2:
      return `denied: ${last.note}`;
    case 3:
      return 'canceled';
    default:
      return `${last.errno}: ${last.text}`;
  }
}

/** The estimates that a job was told, in seconds since the test began. */
export function estimates(answers: readonly JsonObject[]): (number | null)[] {
  return answers
    .filter(({ type }) => type === 1)
    .map(({ annotations }) => ((annotations as JsonObject).sched as JsonObject).t_estimate as number | null)
    .map((time) => (time === null ? null : Math.round(time - START)));
}

/** JSON as it is written. */
function plain(value: JsonValue | undefined): JsonValue {
  return JSON.parse(stringifyJson(value ?? null));
}

async function flushed(): Promise<void> {
  for (let i = 0; i < 2; i++) await new Promise((resolve) => setImmediate(resolve));
}
