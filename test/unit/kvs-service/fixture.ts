/** The module kvs with a store in memory; its broker is the test. */

import assert from 'node:assert/strict';
import { parseEntry } from '../../../core/broker/log-format.ts';
import { ModuleHost } from '../../../core/broker/module-host.ts';
import { errnoName, type FluxError } from '../../../core/errno.ts';
import { blobrefToDigest, digestToBlobref, makeBlobref } from '../../../core/formats/blobref.ts';
import { encodeTreeobj, makeVal, type Treeobj } from '../../../core/formats/treeobj.ts';
import type { JsonObject, JsonValue } from '../../../core/json.ts';
import { type Credentials, Role } from '../../../core/message/credentials.ts';
import { Flag, Message, MessageType, type Payload } from '../../../core/message/message.ts';
import type { Checkpoint, StoreThread } from '../../../workers/content/access.ts';
import { kvsModule } from '../../../workers/kvs/kvs.ts';
import { moduleWorld } from '../../module-world.ts';
import { Agenda } from '../../sim/agenda.ts';
import { MemoryContent } from './memory-content.ts';

export const OWNER = 100;
export const owner: Credentials = { userid: OWNER, rolemask: Role.owner };
export const guest = (userid = 200): Credentials => ({ userid, rolemask: Role.user });

/** The root of a namespace in which nothing was ever stored. */
export const EMPTY = 'sha1-c0a9faf907dda6216fd73bf81d0b3b21a1a8cb91';

export interface Answer {
  readonly errno: string;
  readonly text: string | undefined;
  readonly payload: JsonObject;
}

export interface FixtureOptions {
  readonly content?: MemoryContent;
  readonly args?: readonly string[];
  readonly config?: JsonObject;
  /** The content service is on another thread. */
  readonly isRemote?: boolean;
}

interface CallOptions {
  readonly user?: Credentials;
  readonly client?: string;
  readonly flags?: number;
}

export class Fixture {
  readonly agenda = new Agenda();
  readonly content: MemoryContent;
  readonly shared: StoreThread;
  readonly host: ModuleHost;
  readonly events: { readonly topic: string; readonly payload: JsonObject }[] = [];
  readonly logs: string[] = [];
  readonly #answers = new Map<number, (answer: Message) => void>();
  #matchtag = 0;

  private constructor(options: FixtureOptions) {
    this.content = options.content ?? new MemoryContent();
    this.shared = options.isRemote ? {} : { content: this.content };
    const world = moduleWorld(this.agenda, 'kvs');
    const welcome = {
      name: 'kvs',
      uuid: '11111111-2222-4333-8444-555555555555',
      rank: 0,
      size: 1,
      owner: OWNER,
      args: options.args ?? [],
      config: options.config ?? {},
      attribute: (name: string) => ({ 'security.owner': String(OWNER), 'content.hash': 'sha1' })[name],
    };
    this.host = new ModuleHost(welcome, world, (message) => this.#take(message));
  }

  static async start(options: FixtureOptions = {}): Promise<Fixture> {
    const fixture = new Fixture(options);
    await fixture.host.start(kvsModule(fixture.shared));
    return fixture;
  }

  #take(message: Message): void {
    if (message.type === MessageType.response) {
      const answer = this.#answers.get(message.matchtag);
      assert.ok(answer, `a second answer to request ${message.matchtag}`);
      this.#answers.delete(message.matchtag);
      answer(message);
    } else if (message.type === MessageType.event) this.#publish(message);
    else if (message.service === 'content') void this.#serveContent(message);
    else if (message.topic === 'log.append') this.logs.push(parseEntry(Buffer.from(message.bytes!).toString())!.text);
  }

  #publish(event: Message): void {
    assert.ok(event.flags & Flag.private);
    this.events.push({ topic: event.topic!, payload: JSON.parse(asText(event)) });
  }

  /** The content service as it answers requests. */
  async #serveContent(request: Message): Promise<void> {
    const { content } = this;
    const methods: Record<string, () => Promise<Payload | undefined>> = {
      load: () => content.load(digestToBlobref('sha1', request.bytes!)),
      store: async () => {
        const blobref = makeBlobref('sha1', request.bytes!);
        await content.store(blobref, request.bytes!);
        return blobrefToDigest(blobref).digest;
      },
      flush: async () => void (await content.flush()),
      'checkpoint-put': async () => {
        const { version, rootref, sequence, timestamp } = request.unpack({ value: 'o' }).value as unknown as Checkpoint;
        await content.checkpointPut({ version, rootref, sequence, timestamp: Number(timestamp) });
        return undefined;
      },
      'checkpoint-get': async () => ({ value: (await content.checkpoints()).map((each) => ({ ...each })) }),
    };
    const answer = await methods[request.topic!.slice('content.'.length)]!().then(
      (payload) => request.respond(payload, owner),
      ({ errno, detail }: FluxError) => request.respondError(errno, detail, owner),
    );
    this.host.receive(answer);
  }

  /** The requests that are not answered. */
  get openCount(): number {
    return this.#answers.size;
  }

  /** Sends a request of a client; the answer may be an error. */
  ask(
    method: string,
    payload?: JsonValue,
    { user = owner, client = 'c1', flags = 0 }: CallOptions = {},
  ): Promise<Answer> {
    const matchtag = ++this.#matchtag;
    const request = Message.request({ topic: `kvs.${method}`, payload, matchtag, flags, credentials: user });
    request.routes.push(client);
    return new Promise((resolve) => {
      this.#answers.set(matchtag, (message) =>
        resolve({
          errno: message.errnum ? errnoName(message.errnum) : '',
          text: message.errnum ? message.errorText() : undefined,
          payload: message.errnum || !message.hasPayload ? {} : JSON.parse(asText(message)),
        }),
      );
      this.host.receive(request);
    });
  }

  /** Sends a request that must succeed. */
  async call(method: string, payload?: JsonValue, options?: CallOptions): Promise<JsonObject> {
    const { errno, text, payload: answer } = await this.ask(method, payload, options);
    assert.equal(errno, '', text);
    return answer;
  }

  /** Sends a request that gets no answer. */
  notify(method: string, payload?: JsonValue, { user = owner, client = 'c1' }: CallOptions = {}): void {
    const request = Message.request({
      topic: `kvs.${method}`,
      payload,
      flags: Flag.noresponse,
      credentials: user,
    });
    request.routes.push(client);
    this.host.receive(request);
  }

  commit(ops: JsonValue, { namespace = 'primary', flags = 0, ...options }: CallOptions & { namespace?: string } = {}) {
    return this.ask('commit', { namespace, flags, ops }, options);
  }

  /** What a key holds; undefined when there is no such key. */
  async get(key: string, namespace = 'primary', options?: CallOptions): Promise<string | undefined> {
    const { errno, payload } = await this.ask('lookup', { key, namespace, flags: 0 }, options);
    if (errno === 'ENOENT') return undefined;
    assert.equal(errno, '');
    return Buffer.from((payload.val as { data: string }).data, 'base64').toString();
  }

  async root(namespace = 'primary'): Promise<{ rootref: string; rootseq: number }> {
    const { rootref, rootseq } = await this.call('getroot', { namespace });
    return { rootref: rootref as string, rootseq: rootseq as number };
  }

  createNamespace(namespace: string, user = -1, rootref = EMPTY): Promise<JsonObject> {
    return this.call('namespace-create', { namespace, rootref, owner: user, flags: 0 });
  }

  /** The events of one kind, oldest first. */
  eventsOf(what: string): JsonObject[] {
    return this.events.filter(({ topic }) => topic.endsWith(`-${what}`)).map(({ payload }) => payload);
  }

  stop(): Promise<void> {
    return this.host.stop();
  }
}

function asText(message: Message): string {
  return Buffer.from(message.bytes!).toString().slice(0, -1);
}

/** An operation that gives a key a value; null takes it away. */
export function put(key: string, value: string | null, flags = 0): JsonValue {
  return { key, flags, dirent: value === null ? null : asJson(makeVal(Buffer.from(value))) };
}

export function putObject(key: string, object: Treeobj): JsonValue {
  return { key, flags: 0, dirent: asJson(object) };
}

export function asJson(object: Treeobj): JsonValue {
  return JSON.parse(encodeTreeobj(object));
}

/** A promise, and what resolves it. */
export function gate(): { readonly promise: Promise<void>; readonly open: () => void } {
  let open!: () => void;
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

/** Resolves once all promises that can go on have gone on. */
export const settled = () => new Promise<void>((resolve) => setImmediate(resolve));
