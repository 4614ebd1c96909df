/** The module resource of rank 0; its broker, the KVS and the groups of brokers are the test. */

import assert from 'node:assert/strict';
import { parseEntry } from '../../../core/broker/log-format.ts';
import { ModuleHost } from '../../../core/broker/module-host.ts';
import { type ErrnoName, errno, errnoName, FluxError } from '../../../core/errno.ts';
import { OperationFlag } from '../../../core/formats/kvs-flags.ts';
import { makeVal, type Treeobj, valBytes } from '../../../core/formats/treeobj.ts';
import { type Responses, RpcClient, type RpcOptions } from '../../../core/handle/rpc.ts';
import { type JsonObject, type JsonValue, parseJson, stringifyJson } from '../../../core/json.ts';
import { type Credentials, Role } from '../../../core/message/credentials.ts';
import { Flag, Message, MessageType, type Payload } from '../../../core/message/message.ts';
import type { Machine, Machines } from '../../../workers/resource/machine.ts';
import type { Parent } from '../../../workers/resource/parent.ts';
import { resourceModule } from '../../../workers/resource/resource.ts';
import { moduleWorld } from '../../module-world.ts';
import { Agenda } from '../../sim/agenda.ts';

export const owner: Credentials = { userid: 100, rolemask: Role.owner };
export const guest: Credentials = { userid: 200, rolemask: Role.user };

export interface FixtureOptions {
  readonly size?: number;
  readonly hostlist?: string;
  readonly config?: JsonObject;
  readonly args?: readonly string[];
  readonly attributes?: Readonly<Record<string, string>>;
  readonly machine?: Machine;
  /** What the KVS has from an earlier life. */
  readonly kvs?: Map<string, string>;
  /** The instance that this one is a job of. */
  readonly parent?: EnclosingInstance;
  /** Ranks that are online from the start. */
  readonly online?: string;
}

interface Answer {
  readonly errno: string;
  readonly text: string | undefined;
  readonly payload: JsonValue | undefined;
}

export class Fixture {
  readonly agenda = new Agenda();
  readonly kvs: Map<string, string>;
  readonly commits: JsonObject[] = [];
  readonly logs: string[] = [];
  readonly host: ModuleHost;
  /** What commits fail with. */
  commitError: FluxError | undefined;
  /** What the job manager says is allocated; undefined: there is none. */
  allocated: JsonObject | undefined;
  readonly #groups = new Map<string, { members: string; readonly requests: Message[] }>();
  readonly #answers = new Map<number, Answer[]>();
  #wake: () => void = () => {};
  #matchtag = 0;

  private constructor({
    size = 4,
    hostlist = 'node[0-3]',
    config = {},
    args = [],
    attributes = {},
    kvs,
    online = '',
  }: FixtureOptions) {
    this.kvs = kvs ?? new Map();
    this.#groups.set('broker.online', { members: online, requests: [] });
    this.#groups.set('broker.torpid', { members: '', requests: [] });
    const world = moduleWorld(this.agenda, 'resource');
    const welcome = {
      name: 'resource',
      uuid: '11111111-2222-4333-8444-555555555555',
      rank: 0,
      size,
      owner: owner.userid,
      args,
      config,
      attribute: (name: string) => ({ hostlist, ...attributes })[name],
    };
    this.host = new ModuleHost(welcome, world, (message) => this.#take(message));
  }

  static async start(options: FixtureOptions = {}): Promise<Fixture> {
    const fixture = new Fixture(options);
    const machine = options.machine ?? { hostname: 'node0', cores: 4, gpus: 0 };
    const machines: Machines = {
      look: () => machine,
      wait: async () => machine,
      describe: () => '<topology/>',
      read: (xml) => ({ ...machine, cores: Number(xml) }),
    };
    const openParent = async (uri: string) => {
      if (!options.parent) throw new FluxError('ECONNREFUSED', `nobody is at ${uri}`);
      return options.parent;
    };
    await fixture.host.start(resourceModule(machines, openParent));
    await settled();
    return fixture;
  }

  // ---- what the module asks

  #take(message: Message): void {
    if (message.type === MessageType.response) {
      this.#answers.get(message.matchtag)!.push({
        errno: message.errnum ? errnoName(message.errnum) : '',
        text: message.errnum ? message.errorText() : undefined,
        payload: message.errnum ? undefined : message.json,
      });
      this.#wake();
    } else if (message.topic === 'log.append') this.logs.push(parseEntry(Buffer.from(message.bytes!).toString())!.text);
    else if (message.topic === 'groups.get') this.#watchGroup(message);
    else if (message.wantsResponse) this.#answer(message);
  }

  #answer(request: Message): void {
    let response: Message;
    try {
      response = request.respond(this.#serve(request), owner);
    } catch (error) {
      const { errno, detail } = error as FluxError;
      response = request.respondError(errno, detail, owner);
    }
    queueMicrotask(() => this.host.receive(response));
  }

  #serve(request: Message): Payload | undefined {
    switch (request.topic) {
      case 'kvs.lookup': {
        const text = this.kvs.get(request.unpack({ key: 's' }).key);
        if (text === undefined) throw new FluxError('ENOENT');
        return { val: JSON.parse(JSON.stringify(makeVal(Buffer.from(text)))) };
      }
      case 'kvs.commit':
        return this.#commit(
          request.unpack({ ops: 'a' }).ops as unknown as readonly Operation[],
          request.json as JsonObject,
        );
      case 'job-manager.resource-status':
        if (this.allocated) return { allocated: this.allocated };
        break;
    }
    throw new FluxError('ENOSYS');
  }

  #commit(operations: readonly Operation[], request: JsonObject): JsonObject {
    if (this.commitError) throw this.commitError;
    this.commits.push(request);
    for (const { key, flags, dirent } of operations) {
      const before = flags & OperationFlag.append ? (this.kvs.get(key) ?? '') : '';
      this.kvs.set(key, before + valBytes(dirent));
    }
    return { rootref: 'x', rootseq: this.commits.length };
  }

  #watchGroup(request: Message): void {
    const group = this.#groups.get(request.unpack({ name: 's' }).name)!;
    group.requests.push(request);
    const { members } = group;
    queueMicrotask(() => this.host.receive(request.respond({ members }, owner)));
  }

  /** The members of a group of brokers are others from now on. */
  async setGroup(name: 'broker.online' | 'broker.torpid', members: string): Promise<void> {
    const group = this.#groups.get(name)!;
    group.members = members;
    for (const request of group.requests) this.host.receive(request.respond({ members }, owner));
    await settled();
  }

  // ---- what the module is asked

  /** Sends a request; its answers come to what `next` takes. */
  send(method: string, payload?: Payload, { flags = 0, user = owner, client = 'c1' } = {}): number {
    const matchtag = ++this.#matchtag;
    const request = Message.request({ topic: `resource.${method}`, payload, matchtag, flags, credentials: user });
    request.routes.push(client);
    this.#answers.set(matchtag, []);
    this.host.receive(request);
    return matchtag;
  }

  /** Sends a request that gets no answer. */
  notify(method: string, payload?: Payload, client = 'c1'): void {
    const flags = Flag.noresponse;
    const request = Message.request({ topic: `resource.${method}`, payload, flags, credentials: owner });
    request.routes.push(client);
    this.host.receive(request);
  }

  /** The answers that have come and were not taken yet. */
  async taken(matchtag: number): Promise<Answer[]> {
    await settled();
    return this.#answers.get(matchtag)!.splice(0);
  }

  async ask(method: string, payload?: Payload, options?: { user?: Credentials }): Promise<Answer> {
    const matchtag = this.send(method, payload, options);
    while (!this.#answers.get(matchtag)!.length)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    return this.#answers.get(matchtag)!.shift()!;
  }

  /** The payload of a request that must succeed. */
  async call(method: string, payload?: Payload): Promise<JsonObject> {
    const { errno, text, payload: answer } = await this.ask(method, payload);
    assert.equal(errno, '', text);
    return answer as JsonObject;
  }

  /** Begins a stream. */
  stream(method: string, client = 'c1'): number {
    return this.send(method, undefined, { flags: Flag.streaming, client });
  }

  /** The names and contexts of the events in the KVS. */
  get kept(): string[] {
    return (this.kvs.get('resource.eventlog') ?? '')
      .split('\n')
      .filter(Boolean)
      .map((line) => {
        const { name, context } = parseJson(line) as JsonObject;
        return `${name} ${stringifyJson(context ?? {})}`;
      });
  }
}

/** An instance whose job is the one under test, as far as a module resource asks it. */
export class EnclosingInstance implements Parent {
  /** What was asked, in order. */
  readonly asked: { readonly topic: string; readonly payload: unknown }[] = [];
  isClosed = false;
  readonly #R: JsonObject;
  readonly #hasWatch: boolean;
  readonly #rpc: RpcClient;
  #watch: Message | undefined;

  /** @param hasWatch whether it can tell of changes of R */
  constructor(R: string, hasWatch = true) {
    this.#R = parseJson(R) as JsonObject;
    this.#hasWatch = hasWatch;
    this.#rpc = new RpcClient((request) => this.#answer(request));
  }

  request(topic: string, payload?: Payload, options?: RpcOptions): Responses {
    this.asked.push({ topic, payload });
    return this.#rpc.request(topic, payload, options);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.#rpc.fail(new FluxError('ECONNABORTED', 'the handle is closed'));
  }

  #answer(request: Message): void {
    if (request.topic === 'job-info.update-watch' && this.#hasWatch) {
      this.#watch = request;
      this.#rpc.receive(request.respond({ R: this.#R }, owner));
    } else if (request.topic === 'job-info.lookup')
      this.#rpc.receive(request.respond({ id: 1, R: stringifyJson(this.#R) }, owner));
    else this.#rpc.receive(request.respondError(errno.ENOSYS, undefined, owner));
  }

  /** The job ends at another time: seconds since the epoch. */
  async update(expiration: number): Promise<void> {
    const R = { ...this.#R, execution: { ...(this.#R.execution as JsonObject), expiration } };
    this.#rpc.receive(this.#watch!.respond({ R }, owner));
    await settled();
  }

  /** It fails, or will not tell any more. */
  async fail(code: ErrnoName): Promise<void> {
    this.#rpc.receive(this.#watch!.respondError(errno[code], undefined, owner));
    await settled();
  }
}

interface Operation {
  readonly key: string;
  readonly flags: number;
  readonly dirent: Treeobj;
}

/** Lets all promises that can go on do so. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** R as JSON has it. */
export function plain(value: JsonValue | undefined): unknown {
  return JSON.parse(stringifyJson(value ?? null));
}
