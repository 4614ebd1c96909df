/** The module job-ingest; the KVS, the job manager and the threads of plugins are the test. */

import { parseEntry } from '../../../core/broker/log-format.ts';
import { ModuleHost } from '../../../core/broker/module-host.ts';
import { errnoName, FluxError } from '../../../core/errno.ts';
import { wrapUnsigned } from '../../../core/formats/job-envelope.ts';
import type { PluginCall, PluginOutcome } from '../../../core/handle/ingest-plugin.ts';
import type { JsonObject, JsonValue } from '../../../core/json.ts';
import { type Credentials, Role } from '../../../core/message/credentials.ts';
import { Message, MessageType, type Payload } from '../../../core/message/message.ts';
import { jobIngestFollower, jobIngestModule } from '../../../workers/job-ingest/job-ingest.ts';
import { moduleWorld } from '../../module-world.ts';
import { Agenda } from '../../sim/agenda.ts';

export const OWNER = 100;
export const owner: Credentials = { userid: OWNER, rolemask: Role.owner };
export const guest: Credentials = { userid: 200, rolemask: Role.user };

export interface FixtureOptions {
  readonly rank?: number;
  readonly config?: JsonObject;
  readonly args?: readonly string[];
  readonly attributes?: Readonly<Record<string, string>>;
  /** The newest job of an earlier life; undefined: there is no job manager. */
  readonly maxJobid?: bigint | undefined;
}

export interface Answer {
  readonly errno: string;
  readonly text: string | undefined;
  readonly payload: JsonValue | undefined;
}

type Serve = (request: Message) => Payload | undefined;

export class Fixture {
  readonly agenda = new Agenda();
  readonly host: ModuleHost;
  readonly logs: string[] = [];
  /** The jobs of each request to the job manager. */
  readonly announced: (readonly JsonObject[])[] = [];
  /** Calls of plugins in files. */
  readonly calls: PluginCall[] = [];
  plugin: (call: PluginCall, signal: AbortSignal) => Promise<PluginOutcome> = async () => ({ errnum: 0 });
  /** What the job manager says of each request. */
  refuse: (jobs: readonly JsonObject[]) => Payload | undefined = () => undefined;
  /** The job manager's answers wait until `release`. */
  holdsAnswers = false;
  /** Requests that others answer, by topic. */
  readonly services = new Map<string, Serve>();
  readonly requests: Message[] = [];
  readonly #held: Message[] = [];
  readonly #soon: (() => void)[] = [];
  readonly #answers = new Map<number, Answer>();
  #matchtag = 0;

  private constructor({ rank = 0, config = {}, args = [], attributes = {}, maxJobid }: FixtureOptions) {
    const world = moduleWorld(this.agenda, 'job-ingest');
    const welcome = {
      name: 'job-ingest',
      uuid: '11111111-2222-4333-8444-555555555555',
      rank,
      size: 4,
      owner: OWNER,
      args,
      config,
      attribute: (name: string) => ({ 'security.owner': String(OWNER), ...attributes })[name],
    };
    this.host = new ModuleHost(welcome, world, (message) => this.#take(message));
    if (maxJobid !== undefined) this.services.set('job-manager.getinfo', () => ({ max_jobid: maxJobid }));
    this.services.set('job-manager.submit', (request) => {
      const jobs = request.unpack({ jobs: 'a' }).jobs as readonly JsonObject[];
      this.announced.push(jobs);
      return this.refuse(jobs);
    });
  }

  static async start(options: FixtureOptions = {}): Promise<Fixture> {
    const fixture = new Fixture({ maxJobid: 0n, ...options });
    const thread = {
      plugins: {
        running: 0,
        call: (call: PluginCall, signal: AbortSignal) => {
          fixture.calls.push(call);
          return fixture.plugin(call, signal);
        },
      },
      soon: (callback: () => void) => void fixture.#soon.push(callback),
    };
    const definition = options.rank ? jobIngestFollower(thread) : jobIngestModule(thread);
    await fixture.host.start(definition);
    return fixture;
  }

  // ---- what the module asks

  #take(message: Message): void {
    if (message.type === MessageType.response) {
      this.#answers.set(message.matchtag, {
        errno: message.errnum ? errnoName(message.errnum) : '',
        text: message.errnum ? message.errorText() : undefined,
        payload: message.errnum ? undefined : message.json,
      });
    } else if (message.topic === 'log.append') this.logs.push(parseEntry(Buffer.from(message.bytes!).toString())!.text);
    else if (message.wantsResponse) {
      this.requests.push(message);
      if (message.topic === 'job-manager.submit' && this.holdsAnswers) this.#held.push(message);
      else this.#answer(message);
    }
  }

  #answer(request: Message): void {
    let response: Message;
    try {
      const serve = this.services.get(request.topic!);
      if (!serve) throw new FluxError('ENOSYS');
      response = request.respond(serve(request), owner);
    } catch (error) {
      const { errno, detail } = error as FluxError;
      response = request.respondError(errno, detail, owner);
    }
    queueMicrotask(() => this.host.receive(response));
  }

  /** What waits is answered. */
  async release(): Promise<void> {
    for (const request of this.#held.splice(0)) this.#answer(request);
    await this.settle();
  }

  /** The round of messages is over; all that can go on does so. */
  async settle(): Promise<void> {
    for (let i = 0; i < 4; i++) {
      for (const callback of this.#soon.splice(0)) callback();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  // ---- what the module is asked

  /** Sends a request without waiting for its answer. */
  send(method: string, payload?: Payload, user = owner): number {
    const matchtag = ++this.#matchtag;
    const request = Message.request({ topic: `job-ingest.${method}`, payload, matchtag, credentials: user });
    request.routes.push('client');
    this.host.receive(request);
    return matchtag;
  }

  answer(matchtag: number): Answer | undefined {
    return this.#answers.get(matchtag);
  }

  async ask(method: string, payload?: Payload, user = owner): Promise<Answer> {
    const matchtag = this.send(method, payload, user);
    await this.settle();
    const answer = this.#answers.get(matchtag);
    if (!answer) throw new Error(`no answer to ${method}`);
    return answer;
  }

  submit(jobspec: JsonValue, user = owner): Promise<Answer> {
    return this.ask('submit', submission(jobspec), user);
  }
}

/** The payload of a request to submit. */
export function submission(jobspec: JsonValue, more: JsonObject = {}, userid = OWNER): JsonObject {
  return { J: wrapUnsigned(JSON.stringify(jobspec), userid), urgency: 16, flags: 0, ...more };
}

/** A valid jobspec with attributes of the system. */
export function jobspec(system: JsonObject = {}, command: readonly string[] = ['true']): JsonObject {
  return {
    resources: [{ type: 'slot', count: 1, label: 'task', with: [{ type: 'core', count: 1 }] }],
    tasks: [{ command, slot: 'task', count: { per_slot: 1 } }],
    attributes: { system: { duration: 0, ...system } },
    version: 1,
  };
}
