/** The module cron, whose broker and whose subprocess servers are the test. */

import { parseEntry } from '../../../core/broker/log-format.ts';
import { ModuleHost } from '../../../core/broker/module-host.ts';
import { errnoName, FluxError } from '../../../core/errno.ts';
import { encodeIo } from '../../../core/formats/io.ts';
import { type JsonObject, type JsonValue, Real } from '../../../core/json.ts';
import { type Credentials, Role } from '../../../core/message/credentials.ts';
import { Message, MessageType } from '../../../core/message/message.ts';
import { isObject } from '../../../core/message/unpack.ts';
import { cron } from '../../../workers/cron/cron.ts';
import { moduleWorld } from '../../module-world.ts';
import { Agenda } from '../../sim/agenda.ts';

const owner: Credentials = { userid: 100, rolemask: Role.owner };
export const guest: Credentials = { userid: 200, rolemask: Role.user };

/** Wait statuses. */
export const exited = (code: number) => code << 8;
export const killedBy = (signum: number) => signum;

/** Lets all promises that can go on do so. */
async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** A program that the module wants to run. */
export class Program {
  readonly request: Message;
  readonly #answer: (message: Message) => Promise<void>;

  constructor(request: Message, answer: (message: Message) => Promise<void>) {
    this.request = request;
    this.#answer = answer;
  }

  get cmd(): JsonObject {
    return this.request.unpack({ cmd: 'o' }).cmd;
  }

  tell(payload: JsonObject): Promise<void> {
    return this.#answer(this.request.respond(payload, owner));
  }

  started(pid = 77): Promise<void> {
    return this.tell({ type: 'started', pid });
  }

  output(stream: string, text: string): Promise<void> {
    return this.tell({ type: 'output', pid: 77, io: encodeIo(stream, 0, Buffer.from(text)) });
  }

  fail(error: FluxError): Promise<void> {
    return this.#answer(this.request.respondError(error.errno, error.detail, owner));
  }

  /** Runs it to its end. */
  async finish(status = 0): Promise<void> {
    await this.started();
    await this.end(status);
  }

  async end(status = 0): Promise<void> {
    await this.tell({ type: 'finished', status });
    await this.fail(new FluxError('ENODATA'));
  }
}

export class CronBench {
  readonly agenda = new Agenda();
  readonly host: ModuleHost;
  /** All that were wanted so far. */
  readonly programs: Program[] = [];
  /** Signals that were sent, and what else servers were told. */
  readonly told: Message[] = [];
  readonly logs: string[] = [];
  readonly subscriptions: string[] = [];
  readonly #waiting = new Map<number, (answer: Message) => void>();
  #matchtag = 0;

  private constructor(args: readonly string[]) {
    const world = moduleWorld(this.agenda, 'cron');
    const welcome = {
      name: 'cron',
      uuid: '11111111-2222-4333-8444-555555555555',
      rank: 0,
      size: 4,
      owner: owner.userid,
      args,
      config: {},
      attribute: () => undefined,
    };
    this.host = new ModuleHost(welcome, world, (message) => this.#take(message));
  }

  static async start(...args: string[]): Promise<CronBench> {
    const bench = new CronBench(args);
    await bench.host.start(cron);
    return bench;
  }

  #take(message: Message): void {
    const { topic = '' } = message;
    if (message.type === MessageType.response) this.#waiting.get(message.matchtag)?.(message);
    else if (topic === 'log.append') this.logs.push(parseEntry(Buffer.from(message.bytes!).toString())!.text);
    else if (topic === 'event.subscribe') this.subscriptions.push(message.unpack({ topic: 's' }).topic);
    else if (topic === 'event.unsubscribe')
      this.subscriptions.splice(this.subscriptions.indexOf(message.unpack({ topic: 's' }).topic), 1);
    else if (topic === 'rexec.exec') this.programs.push(new Program(message, (answer) => this.#deliver(answer)));
    else this.told.push(message);
  }

  async #deliver(message: Message): Promise<void> {
    this.host.receive(message);
    await turn();
  }

  async event(topic: string): Promise<void> {
    await this.#deliver(Message.event(topic, undefined));
  }

  /** Lets time pass, and all happen that is due. */
  async advance(seconds: number): Promise<void> {
    const end = this.agenda.time + seconds;
    while (this.agenda.nextTime <= end) {
      this.agenda.step();
      await turn();
    }
    this.agenda.skipTo(end);
  }

  /** The payload of an answer, or the name of its errno. */
  async call(method: string, payload?: JsonValue, credentials = owner): Promise<JsonObject | string> {
    const topic = `cron.${method}`;
    const request = Message.request({ topic, payload, matchtag: ++this.#matchtag, flags: 0, credentials });
    request.routes.push('client');
    const answer = await new Promise<Message>((resolve) => {
      this.#waiting.set(request.matchtag, resolve);
      this.host.receive(request);
    });
    return answer.errnum ? errnoName(answer.errnum) : (answer.json as JsonObject);
  }

  /** Makes an entry; resolves to its number. */
  async create(type: string, args: JsonObject, more: JsonObject = {}): Promise<number> {
    const entry = await this.call('create', { type, name: 'n', command: 'true', args, ...more });
    if (typeof entry === 'string') throw new Error(entry);
    return entry.id as number;
  }

  /** An entry of the list, as one object of keys with dots and plain numbers; undefined when it is not there. */
  async entry(id: number): Promise<Record<string, JsonValue> | undefined> {
    const { entries } = (await this.call('list')) as { entries: JsonObject[] };
    const found = entries.find((entry) => entry.id === id);
    return found && flatten(found);
  }

  async get(id: number, key: string): Promise<JsonValue | undefined> {
    return (await this.entry(id))?.[key];
  }
}

function flatten(value: JsonObject, prefix = ''): Record<string, JsonValue> {
  const flat: Record<string, JsonValue> = {};
  for (const [key, each] of Object.entries(value)) {
    const name = prefix + key;
    if (Array.isArray(each))
      for (const [i, task] of each.entries()) Object.assign(flat, flatten(task as JsonObject, `${name}.${i}.`));
    else if (isObject(each)) Object.assign(flat, flatten(each, `${name}.`));
    else flat[name] = each instanceof Real ? each.value : (each as JsonValue);
  }
  return flat;
}
