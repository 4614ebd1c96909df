/** Blobs, a backing store in memory that fails when it is told to, and a module whose broker is the test. */

import { ModuleHost } from '../../../core/broker/module-host.ts';
import type { ModuleDefinition } from '../../../core/broker/service.ts';
import { errnoName, FluxError } from '../../../core/errno.ts';
import { makeBlobref } from '../../../core/formats/blobref.ts';
import type { JsonValue } from '../../../core/json.ts';
import { type Credentials, Role } from '../../../core/message/credentials.ts';
import { Flag, Message, MessageType, type Payload } from '../../../core/message/message.ts';
import type { Backing, LoadedBlob } from '../../../workers/content/backing.ts';
import { moduleWorld } from '../../module-world.ts';
import { Agenda } from '../../sim/agenda.ts';

export const owner: Credentials = { userid: 100, rolemask: Role.owner };
export const guest: Credentials = { userid: 200, rolemask: Role.user };

export const refOf = (bytes: Uint8Array) => makeBlobref('sha1', bytes);
export const digestOf = (bytes: Uint8Array) => Buffer.from(refOf(bytes).slice(5), 'hex');

/** Lets all promises that can go on do so. */
export async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** A request that waits until the test lets it go on. */
interface Waiting {
  readonly blobref: string;
  readonly go: (error?: FluxError) => void;
}

/** A backing store whose requests wait for `settle`, or are done at once. */
export class MemoryBacking implements Backing {
  readonly blobs = new Map<string, Uint8Array>();
  readonly loads: string[] = [];
  readonly stores: string[] = [];
  readonly waiting: Waiting[] = [];
  holds = false;
  /** What the next requests fail with. */
  failure: ((blobref: string) => FluxError | undefined) | undefined;
  checkpoint: JsonValue | undefined;

  async #turn(blobref: string): Promise<void> {
    if (this.holds)
      await new Promise<void>((resolve, reject) => {
        this.waiting.push({ blobref, go: (error) => (error ? reject(error) : resolve()) });
      });
    const failure = this.failure?.(blobref);
    if (failure) throw failure;
  }

  async load(blobref: string): Promise<LoadedBlob> {
    this.loads.push(blobref);
    await this.#turn(blobref);
    const bytes = this.blobs.get(blobref);
    if (!bytes) throw new FluxError('ENOENT');
    return { bytes, isEphemeral: false };
  }

  async store(blobref: string, bytes: Uint8Array): Promise<void> {
    this.stores.push(blobref);
    await this.#turn(blobref);
    this.blobs.set(blobref, bytes);
  }

  async validate(blobref: string): Promise<void> {
    if (!this.blobs.has(blobref)) throw new FluxError('ENOENT');
  }

  async checkpointGet(): Promise<JsonValue | undefined> {
    return this.checkpoint;
  }

  async checkpointPut(value: JsonValue): Promise<void> {
    this.checkpoint = value;
  }
}

export interface BenchOptions {
  readonly name: string;
  readonly rank?: number;
  readonly args?: readonly string[];
  readonly attributes?: Readonly<Record<string, string>>;
  /** Answers what the module asks: with a payload, or a FluxError. */
  answer?(request: Message): Payload | undefined | FluxError;
}

/** A module whose broker is the test. */
export class ModuleBench {
  readonly agenda = new Agenda();
  readonly host: ModuleHost;
  /** Requests that the module sent, by their topics. */
  readonly asked: Message[] = [];
  readonly logged: string[] = [];
  readonly #waiting = new Map<number, (answer: Message) => void>();
  #matchtag = 0;

  constructor({ name, rank = 0, args = [], attributes = {}, answer }: BenchOptions) {
    const world = moduleWorld(this.agenda, 'module');
    const set = { 'content.hash': 'sha1', ...attributes } as Record<string, string>;
    const welcome = {
      name,
      uuid: '11111111-2222-4333-8444-555555555555',
      rank,
      size: 8,
      owner: owner.userid,
      args,
      config: {},
      attribute: (attribute: string) => set[attribute],
    };
    this.host = new ModuleHost(welcome, world, (message) => this.#take(message, answer));
  }

  static async start(definition: ModuleDefinition, options: BenchOptions): Promise<ModuleBench> {
    const bench = new ModuleBench(options);
    await bench.host.start(definition);
    return bench;
  }

  #take(message: Message, answer: BenchOptions['answer']): void {
    if (message.type === MessageType.response) {
      this.#waiting.get(message.matchtag)?.(message);
      return;
    }
    if (message.topic === 'log.append') this.logged.push(Buffer.from(message.bytes!).toString());
    this.asked.push(message);
    if (!message.wantsResponse) return;
    const payload = answer?.(message);
    const response =
      payload instanceof FluxError
        ? message.respondError(payload.errno, payload.detail, owner)
        : message.respond(payload, owner);
    queueMicrotask(() => this.host.receive(response));
  }

  /** Sends a request to the module, and resolves to the response. */
  call(topic: string, payload?: Payload, credentials = owner): Promise<Message> {
    const request = Message.request({ topic, payload, matchtag: ++this.#matchtag, flags: 0, credentials });
    request.routes.push('client');
    return new Promise((resolve) => {
      this.#waiting.set(request.matchtag, resolve);
      this.host.receive(request);
    });
  }

  /** The bytes of an answer, or the name of its errno. */
  async raw(topic: string, payload?: Payload, credentials = owner): Promise<Buffer | string> {
    const answer = await this.call(topic, payload, credentials);
    return answer.errnum ? errnoName(answer.errnum) : Buffer.from(answer.bytes ?? []);
  }

  /** The value of an answer, or the name of its errno. */
  async json(topic: string, payload?: Payload, credentials = owner): Promise<JsonValue | undefined> {
    const answer = await this.call(topic, payload, credentials);
    return answer.errnum ? errnoName(answer.errnum) : answer.json;
  }

  get topics(): string[] {
    return this.asked.map(({ topic }) => topic!);
  }
}

export const isEphemeral = (answer: Message) => (answer.flags & Flag.user1) !== 0;
