/** A shell for the tests of its plugins: what it was told is kept, what it reaches is made up. */

import type { ServiceContext } from '../../../core/broker/service.ts';
import { FluxError } from '../../../core/errno.ts';
import { IdSet } from '../../../core/formats/idset.ts';
import { TaskMap } from '../../../core/formats/taskmap.ts';
import type { Method } from '../../../core/handle/methods.ts';
import { Request } from '../../../core/handle/methods.ts';
import { Responses } from '../../../core/handle/rpc.ts';
import type { JsonObject, JsonValue } from '../../../core/json.ts';
import { Role } from '../../../core/message/credentials.ts';
import { Flag, Message, type Payload } from '../../../core/message/message.ts';
import type { Process, WindowSize } from '../../../native/index.ts';
import { type ShellFiles, systemFiles } from '../../../workers/shell/files.ts';
import type {
  LogLevel,
  Shell,
  ShellHooks,
  ShellNode,
  ShellPlugin,
  ShellTask,
  TaskSpec,
} from '../../../workers/shell/plugin.ts';
import { Agenda } from '../../sim/agenda.ts';

export interface ShellSetup {
  readonly options?: JsonObject;
  readonly env?: Readonly<Record<string, string>>;
  readonly cores?: string;
  readonly gpus?: string;
  readonly tasks?: number;
  readonly rank?: number;
  readonly R?: JsonObject;
  readonly jobspec?: JsonObject;
  readonly attributes?: Readonly<Record<string, string>>;
  readonly files?: ShellFiles;
  readonly verbosity?: number;
  /** Answers to requests, by topic; a FluxError is one, too. */
  readonly answers?: Readonly<Record<string, (payload: Payload | undefined) => Payload | undefined>>;
}

export class FakeProcess implements Process {
  readonly pid = 4242;
  readonly written: string[] = [];
  readonly sizes: WindowSize[] = [];
  /** Bytes that it takes. */
  room = Number.POSITIVE_INFINITY;
  isPaused = false;

  write(_stream: number, bytes: Uint8Array, offset = 0): number {
    const taken = Math.min(this.room, bytes.length - offset);
    this.room -= taken;
    if (taken) this.written.push(Buffer.from(bytes.subarray(offset, offset + taken)).toString());
    return taken;
  }
  end(): void {}
  close(): void {}
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
  resize(_stream: number, size: WindowSize): void {
    this.sizes.push(size);
  }
  kill(): void {}
}

export class FakeTask implements ShellTask {
  readonly rank: number;
  readonly index: number;
  readonly spec: TaskSpec = { argv: ['true'], stdio: ['input', 'output', 'output'] };
  readonly env = new Map<string, string | undefined>();
  /** What it was made to write, by stream; `|` is the end. */
  readonly outputs: Record<1 | 2, string> = { 1: '', 2: '' };
  process: FakeProcess | undefined;
  status: number | undefined;
  readonly takers = new Map<number, (bytes: Buffer | null) => void>();
  onRoom: (() => void) | undefined;

  constructor(rank: number, index: number) {
    this.rank = rank;
    this.index = index;
  }

  get isRunning(): boolean {
    return this.process !== undefined && this.status === undefined;
  }
  getEnv(name: string): string | undefined {
    return this.env.get(name);
  }
  setEnv(name: string, value: string | undefined): void {
    this.env.set(name, value);
  }
  addChannel(): number {
    throw new FluxError('ENOSYS');
  }
  takeOutput(descriptor: number, onData: (bytes: Buffer | null) => void): void {
    this.takers.set(descriptor, onData);
  }
  output(descriptor: 1 | 2, bytes: Buffer | null): void {
    this.outputs[descriptor] += bytes ?? '|';
  }
  takeInput(_onData: (bytes: Buffer | null) => void, onRoom?: () => void): void {
    this.onRoom = onRoom;
  }
  kill(): void {}
  describe(): JsonObject {
    return { rank: this.rank };
  }
}

export class FakeShell implements Shell {
  readonly jobid = 42n;
  readonly jobidText = 'ƒo';
  readonly userid = 1000;
  readonly owner = 500;
  readonly size = 1;
  readonly service = '1000-shell-fo';
  readonly namespace = 'job-42';
  readonly hostname = 'node0';
  readonly coresPerSlot = 1;
  readonly gpusPerSlot = 0;
  readonly cwd = '/';
  readonly backlog = 0;
  readonly currentTask = undefined;
  readonly rank: number;
  readonly R: JsonObject;
  readonly jobspec: JsonObject;
  readonly node: ShellNode;
  readonly taskmap: TaskMap;
  readonly tasks: readonly FakeTask[];
  readonly verbosity: number;
  readonly files: ShellFiles;
  readonly agenda = new Agenda();
  readonly context: ServiceContext;
  readonly logged: string[] = [];
  /** What it was ended for. */
  readonly failed: string[] = [];
  readonly asked: [topic: string, payload: Payload | undefined][] = [];
  readonly eventContexts: Record<string, JsonObject> = {};
  readonly methods = new Map<string, Omit<Method, 'allow'>>();
  readonly subscribed = new Map<string, () => void>();
  readonly #options: Record<string, JsonValue | undefined>;
  readonly env: Map<string, string>;
  hooks: ShellHooks = {};
  holds = 0;

  constructor(setup: ShellSetup = {}) {
    const { tasks = 1, rank = 0, cores = '0', gpus = '' } = setup;
    this.rank = rank;
    this.#options = { ...setup.options };
    this.env = new Map(Object.entries(setup.env ?? {}));
    this.R = setup.R ?? {};
    this.jobspec = setup.jobspec ?? {};
    this.verbosity = setup.verbosity ?? 2;
    this.files = setup.files ?? systemFiles;
    this.tasks = Array.from({ length: tasks }, (_, index) => new FakeTask(index, index));
    this.taskmap = TaskMap.of([{ nodeid: 0, nnodes: 1, ppn: tasks }]);
    this.node = {
      id: rank,
      hostname: this.hostname,
      brokerRank: 0,
      taskids: IdSet.range(0, tasks - 1),
      cores: IdSet.parse(cores),
      gpus: IdSet.parse(gpus),
    };
    this.context = this.#makeContext(setup);
  }

  #makeContext({ attributes = {}, answers = {} }: ShellSetup): ServiceContext {
    const answer = (topic: string, payload: Payload | undefined) => {
      this.asked.push([topic, payload]);
      const reply = answers[topic];
      if (!reply) throw new FluxError('ENOSYS', `nobody answers ${topic}`);
      return reply(payload);
    };
    return {
      name: 'shell',
      uuid: 'u',
      rank: 0,
      size: 1,
      clock: this.agenda.clock('shell'),
      random: { uuid: () => 'u', number: () => 0.5 },
      spawn: () => {
        throw new FluxError('ENOSYS');
      },
      spawnSoon: () => Promise.reject(new FluxError('ENOSYS')),
      config: {},
      attribute: (name) => attributes[name],
      rpc: async (topic, payload) => answer(topic, payload) as JsonValue | undefined,
      request: (topic, payload) => {
        const responses = new Responses(1, () => {});
        const request = requestMessage(topic, { userid: this.owner, rolemask: Role.owner }, payload);
        try {
          responses.put(request.respond(answer(topic, payload), { userid: 0, rolemask: Role.owner }));
        } catch (error) {
          const { errno, detail } = error as FluxError;
          responses.put(request.respondError(errno, detail, { userid: 0, rolemask: Role.owner }));
        }
        return responses;
      },
      notify: (topic, payload) => void this.asked.push([topic, payload]),
      sendUntagged: () => {},
      publish: async () => {},
      sendEvent: () => {},
      subscribe: (prefix, callback) => void this.subscribed.set(prefix, callback as () => void),
      unsubscribe: (prefix) => void this.subscribed.delete(prefix),
      log: (_severity, text) => void this.logged.push(text),
    };
  }

  /** Loads a plugin and has it begin. */
  async load(plugin: ShellPlugin): Promise<this> {
    this.hooks = plugin.load(this) ?? {};
    await this.hooks['shell.init']?.();
    return this;
  }

  get nodes(): readonly ShellNode[] {
    return [this.node];
  }
  get isLeader(): boolean {
    return this.rank === 0;
  }
  get taskCount(): number {
    return this.tasks.length;
  }

  option(path: string): JsonValue | undefined {
    return this.#options[path];
  }
  setOption(path: string, value: JsonValue | undefined): void {
    this.#options[path] = value;
  }
  getEnv(name: string): string | undefined {
    return this.env.get(name);
  }
  setEnv(name: string, value: string | undefined): void {
    if (value === undefined) this.env.delete(name);
    else this.env.set(name, value);
  }
  environment(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.env);
  }
  render(template: string): string {
    return template;
  }
  log(level: LogLevel, message: string, component?: string): void {
    this.logged.push(`${level} ${component}: ${message}`);
  }
  beginOutput(): void {}
  openLog(): void {}
  redirectLog(): void {}
  addEventContext(event: 'shell.init' | 'shell.start', context: JsonObject): void {
    this.eventContexts[event] = { ...this.eventContexts[event], ...context };
  }
  appendEvent(): void {}
  tellLeader(): void {}
  onTold(): void {}
  onRoom(): void {}
  setBatchTimeout(): void {}
  raise(): void {}
  fail(_exitCode: number, message: string): void {
    this.failed.push(message);
  }
  hold(): () => void {
    this.holds++;
    return () => this.holds--;
  }
  killAll(): void {}
  register(method: string, answer: Omit<Method, 'allow'>): void {
    this.methods.set(method, answer);
  }
  async rpc(): Promise<undefined> {}
  request(): Responses {
    return new Responses(1, () => {});
  }
  notify(): void {}
  onEvent(): void {}

  /** Asks one of its methods; what it answers is put into the list that is returned. */
  ask(method: string, payload: JsonValue, sender = 'client', streaming = false): JsonValue[] {
    const answers: JsonValue[] = [];
    const credentials = { userid: this.userid, rolemask: Role.user };
    const message = requestMessage(`${this.service}.${method}`, credentials, payload, streaming);
    message.routes.push(sender);
    const request = new Request(message, credentials, (response) =>
      answers.push(response.errnum ? `error ${response.error().code}` : (response.json ?? null)),
    );
    try {
      const reply = this.methods.get(method)!.handler(request);
      if (typeof reply !== 'symbol') request.reply(reply as Payload | undefined);
    } catch (error) {
      request.fail(error as FluxError);
    }
    return answers;
  }
}

function requestMessage(
  topic: string,
  credentials: { readonly userid: number; readonly rolemask: number },
  payload: Payload | undefined,
  streaming = false,
): Message {
  return Message.request({ topic, payload, credentials, matchtag: 7, flags: streaming ? Flag.streaming : 0 });
}
