/** The context of a service whose requests the test answers: programs on ranks, the KVS, the scheduler. */

import { parseEntry } from '../../../core/broker/log-format.ts';
import { ModuleHost } from '../../../core/broker/module-host.ts';
import { type State, stateNumber } from '../../../core/broker/state-machine.ts';
import { FluxError } from '../../../core/errno.ts';
import { encodeIo } from '../../../core/formats/io.ts';
import { makeVal } from '../../../core/formats/treeobj.ts';
import { type JsonObject, type JsonValue, parseJson, stringifyJson } from '../../../core/json.ts';
import { type Credentials, Role } from '../../../core/message/credentials.ts';
import { type Message, MessageType } from '../../../core/message/message.ts';
import { moduleWorld } from '../../module-world.ts';
import { Agenda } from '../../sim/agenda.ts';

export const OWNER = 100;
const owner: Credentials = { userid: OWNER, rolemask: Role.owner };

/** A program that a rank was asked to run. */
export class Program {
  readonly rank: number;
  readonly cmdline: JsonValue;
  readonly env: JsonObject;
  readonly signals: number[] = [];
  readonly #respond: (payload: JsonObject | FluxError) => void;

  constructor(rank: number, cmd: JsonObject, respond: (payload: JsonObject | FluxError) => void) {
    this.rank = rank;
    this.cmdline = cmd.cmdline!;
    this.env = cmd.env as JsonObject;
    this.#respond = respond;
  }

  start(): void {
    this.#respond({ type: 'started', pid: 1000 + this.rank });
  }

  print(stream: string, text: string): void {
    this.#respond({ type: 'output', pid: 1000 + this.rank, io: encodeIo(stream, this.rank, Buffer.from(text)) });
  }

  async finish(status = 0): Promise<void> {
    this.#respond({ type: 'finished', status });
    this.#respond(new FluxError('ENODATA'));
    await settled();
  }

  async fail(error: FluxError): Promise<void> {
    this.#respond(error);
    await settled();
  }
}

export class ServiceWorld {
  readonly agenda = new Agenda();
  readonly host: ModuleHost;
  readonly logs: string[] = [];
  readonly programs: Program[] = [];
  /** Whether programs run as soon as they are asked for. */
  startsPrograms = true;
  /** Requests that are not answered here, by topic. */
  readonly requests: { readonly topic: string; readonly payload: JsonValue | undefined }[] = [];
  /** What those are answered with. */
  readonly answers = new Map<string, (payload: JsonValue | undefined) => JsonObject | undefined>();
  readonly #watches: Message[] = [];
  readonly #monitors: Message[] = [];

  constructor(config: JsonObject = {}) {
    const welcome = {
      name: 'job-manager',
      uuid: '11111111-2222-4333-8444-555555555555',
      rank: 0,
      size: 8,
      owner: OWNER,
      args: [],
      config,
      attribute: (name: string) => (name === 'hostlist' ? 'node[0-7]' : undefined),
    };
    this.host = new ModuleHost(welcome, moduleWorld(this.agenda, 'job-manager'), (message) => this.#take(message));
  }

  get now(): number {
    return this.host.clock.now();
  }

  /** Lets time pass. */
  async pass(seconds: number): Promise<void> {
    const end = this.agenda.time + seconds;
    while (this.agenda.nextTime <= end) {
      this.agenda.step();
      await settled();
    }
    this.agenda.skipTo(end);
  }

  /** The resources of the instance end at another time. */
  async setExpiration(expiration: number): Promise<void> {
    const R = stringifyJson({ version: 1, execution: { R_lite: [], expiration } });
    for (const watch of this.#watches)
      this.#respond(watch, { val: JSON.parse(JSON.stringify(makeVal(Buffer.from(R)))) });
    await settled();
  }

  /** The broker is in another state. */
  async tellState(state: State): Promise<void> {
    for (const monitor of this.#monitors) this.#respond(monitor, { state: stateNumber(state) });
    await settled();
  }

  /** Payloads of the requests for a topic. */
  asked(topic: string): (JsonValue | undefined)[] {
    return this.requests.filter((request) => request.topic === topic).map(({ payload }) => payload);
  }

  #respond(request: Message, payload: JsonObject | FluxError | undefined): void {
    const response =
      payload instanceof FluxError
        ? request.respondError(payload.errno, payload.detail, owner)
        : request.respond(payload, owner);
    queueMicrotask(() => this.host.receive(response));
  }

  #take(message: Message): void {
    if (message.type !== MessageType.request) return;
    const topic = message.topic!;
    if (topic === 'log.append') this.logs.push(parseEntry(Buffer.from(message.bytes!).toString())!.text);
    else if (topic === 'rexec.exec') this.#exec(message);
    else if (topic === 'rexec.kill') this.#kill(message);
    else if (topic === 'kvs-watch.lookup') this.#watches.push(message);
    else if (topic === 'state-machine.monitor') this.#monitors.push(message);
    else if (message.wantsResponse) this.#answer(topic, message);
  }

  #exec(request: Message): void {
    const { cmd } = request.unpack({ cmd: 'o' });
    const program = new Program(request.nodeid, cmd, (payload) => this.#respond(request, payload));
    this.programs.push(program);
    if (this.startsPrograms) program.start();
  }

  #kill(request: Message): void {
    const { pid, signum } = request.unpack({ pid: 'i', signum: 'i' });
    const program = this.programs.findLast(({ rank }) => rank === pid - 1000);
    program?.signals.push(signum);
    this.#respond(request, program ? undefined : new FluxError('ESRCH'));
  }

  #answer(topic: string, request: Message): void {
    if (topic === 'broker.getenv') {
      this.#respond(request, { env: { PATH: '/bin' } });
      return;
    }
    const payload = request.hasPayload ? parseJson(stringifyJson(request.json!)) : undefined;
    this.requests.push({ topic, payload });
    try {
      this.#respond(request, this.answers.get(topic)?.(payload));
    } catch (error) {
      this.#respond(request, error as FluxError);
    }
  }
}

/** Resolves when what can happen now has happened. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}
