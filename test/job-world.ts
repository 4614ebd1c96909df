/**
 * The modules job-exec and shell of a few ranks, with programs that are functions; the job manager, the KVS and everything
 * else around them is the test.
 */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseEntry } from '../core/broker/log-format.ts';
import { ModuleHost } from '../core/broker/module-host.ts';
import { errnoName, FluxError } from '../core/errno.ts';
import { IdSet } from '../core/formats/idset.ts';
import { wrapUnsigned } from '../core/formats/job-envelope.ts';
import { jobKey, jobNamespace } from '../core/formats/job-keys.ts';
import { OperationFlag } from '../core/formats/kvs-flags.ts';
import { makeVal, type Treeobj, valBytes } from '../core/formats/treeobj.ts';
import { type JsonObject, type JsonValue, parseJson, stringifyJson } from '../core/json.ts';
import { type Credentials, Role } from '../core/message/credentials.ts';
import { Flag, Message, MessageType, NODEID_ANY, type Payload } from '../core/message/message.ts';
import { jobExec } from '../workers/job-exec/job-exec.ts';
import { SlowReaders } from '../workers/rexec/slow-readers.ts';
import { shellModule } from '../workers/shell/host.ts';
import { moduleWorld } from './module-world.ts';
import { Agenda } from './sim/agenda.ts';
import { type Program, Programs } from './sim/programs.ts';

export const owner: Credentials = { userid: 100, rolemask: Role.owner };
export const guest: Credentials = { userid: 200, rolemask: Role.user };

/** Timers that are part of one step of work: anything later is the test's to wait for. */
const SOON = 0.1;
const TURNS_MAX = 50_000;
/** Turns of the event loop for what the system does, files above all, to one of virtual time. */
const TURNS_PER_STEP = 50;
const CLIENT = 'client';

export interface JobWorldOptions {
  readonly ranks?: number;
  readonly config?: JsonObject;
  readonly programs?: Readonly<Record<string, Program>>;
}

export interface JobOptions {
  readonly command?: readonly string[];
  readonly tasks?: number;
  /** Ranks that it has, with a core for each of its tasks. */
  readonly ranks?: string;
  readonly cores?: string;
  readonly system?: JsonObject;
  readonly options?: JsonObject;
  readonly userid?: number;
  readonly starttime?: number;
  readonly expiration?: number;
  readonly reattach?: boolean;
}

export interface Answer {
  readonly errno: string;
  readonly text: string | undefined;
  readonly payload: JsonValue | undefined;
}

/** Programs that many tests run: `exit CODE`, `die SIGNAL`, `print TEXT`, `sleep`, and `stay`, which no signal but the ninth ends. */
const usualPrograms: Readonly<Record<string, Program>> = {
  exit: (process) => process.exit(Number(process.args[0] ?? 0)),
  die: (process) => process.die(Number(process.args[0])),
  print: (process) => {
    process.print(`${process.args.join(' ')}\n`);
    process.exit();
  },
  sleep: () => {},
  stay: (process) => {
    process.onSignal = (signum) => {
      if (signum === 9) process.die(9);
    };
  },
  immortal: (process) => {
    process.onSignal = () => {};
  },
};

export class JobWorld {
  readonly agenda = new Agenda();
  readonly programs: Programs;
  readonly logs: string[] = [];
  /** What was asked of others: the topic and the payload. */
  readonly asked: { readonly topic: string; readonly payload: JsonValue | undefined }[] = [];
  /** The KVS: texts, and tree objects for what is none, by namespace and key. */
  readonly kvs = new Map<string, Map<string, string | Treeobj>>([['primary', new Map()]]);
  readonly folder = mkdtempSync(join(tmpdir(), 'job-world-'));
  commits = 0;
  /** Commits wait as long as it is set. */
  isKvsStuck = false;
  readonly #stuck: (() => void)[] = [];
  readonly #hosts = new Map<string, ModuleHost>();
  readonly #shells = new Map<number, ModuleHost>();
  readonly #unreachable = new Set<number>();
  /** Requests to start shells, by rank. */
  readonly #starts = new Map<number, Message[]>();
  readonly #options: JobWorldOptions;
  readonly #answers = new Map<number, Answer[]>();
  #jobExec: ModuleHost;
  #program: Message | undefined;
  #matchtag = 0;

  private constructor(options: JobWorldOptions) {
    this.#options = options;
    this.programs = new Programs({ ...usualPrograms, ...options.programs });
    this.#jobExec = this.#makeHost('job-exec', 0);
  }

  static async start(options: JobWorldOptions = {}): Promise<JobWorld> {
    const world = new JobWorld(options);
    await world.#jobExec.start(jobExec);
    return world;
  }

  /** The module job-exec again, as after a start of the instance. */
  async restart(): Promise<void> {
    this.#jobExec = this.#makeHost('job-exec', 0);
    await this.#jobExec.start(jobExec);
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #makeHost(name: string, rank: number): ModuleHost {
    const uuid = `${name}-${rank}-${this.#hosts.size}`;
    const world = moduleWorld(this.agenda, uuid);
    const attributes: Record<string, string> = {
      'security.owner': String(owner.userid),
      'content.hash': 'sha1',
      'jobid-path': '/',
      'instance-level': '0',
      rundir: this.folder,
    };
    const { ranks = 1, config = {} } = this.#options;
    const host = new ModuleHost(
      { name, uuid, rank, size: ranks, owner: owner.userid, args: [], config, attribute: (key) => attributes[key] },
      { ...world, spawn: this.programs.spawn(world.clock), spawnSoon: this.programs.spawnSoon(world.clock) },
      (message) => this.#route(message, uuid, rank),
    );
    this.#hosts.set(uuid, host);
    return host;
  }

  // ---- messages

  #route(message: Message, from: string, rank: number): void {
    if (message.type === MessageType.response) {
      const to = message.routes.pop();
      if (to === CLIENT) this.#take(message);
      else queueMicrotask(() => this.#hosts.get(to ?? '')?.receive(message));
      return;
    }
    if (message.type !== MessageType.request) return;
    message.routes.push(from);
    const nodeid = message.nodeid === NODEID_ANY ? rank : message.nodeid;
    const { service } = message;
    if (service === 'job-exec') queueMicrotask(() => this.#jobExec.receive(message));
    else if (service === 'shell' || /^\d+-shell-/.test(service)) this.#toShell(message, nodeid);
    else this.#serve(message);
  }

  #toShell(message: Message, rank: number): void {
    const shell = this.#shells.get(rank);
    if (this.#unreachable.has(rank)) this.#fail(message, new FluxError('EHOSTUNREACH'));
    else if (shell) {
      if (message.topic === 'shell.start') this.#starts.set(rank, [...(this.#starts.get(rank) ?? []), message]);
      queueMicrotask(() => shell.receive(message));
    } else this.#fail(message, new FluxError('ENOSYS', `No service matching ${message.topic} is registered`));
  }

  #respond(request: Message, payload?: Payload): void {
    if (request.wantsResponse) this.#route(request.respond(payload, owner), '', 0);
  }

  #fail(request: Message, { errno, detail }: FluxError): void {
    if (request.wantsResponse) this.#route(request.respondError(errno, detail, owner), '', 0);
  }

  #serve(request: Message): void {
    const topic = request.topic!;
    if (topic === 'log.append') {
      this.logs.push(parseEntry(Buffer.from(request.bytes!).toString())!.text);
      return;
    }
    if (/^(kvs|service|event)\./.test(topic) === false) this.asked.push({ topic, payload: request.json });
    try {
      switch (topic) {
        case 'kvs.commit':
          if (this.isKvsStuck) this.#stuck.push(() => this.#respond(request, this.#commit(request)));
          else this.#respond(request, this.#commit(request));
          return;
        case 'kvs.lookup':
          this.#respond(request, this.#lookup(request));
          return;
        case 'kvs.getroot': {
          const { namespace } = request.unpack({ namespace: 's' });
          const rootseq = this.#namespace(namespace).size;
          this.#respond(request, { namespace, rootseq, rootref: `${namespace}-root`, owner: 0, flags: 0 });
          return;
        }
        case 'kvs.namespace-create':
          this.#createNamespace(request);
          break;
        case 'module.load':
          void this.#loadShell(request.nodeid).then(() => this.#respond(request));
          return;
        case 'broker.getenv':
          this.#respond(request, { env: { BROKER: 'yes' } });
          return;
        case 'rexec.exec':
          this.#program = request;
          return;
        case 'job-manager.raise':
          this.#respond(request);
          this.exception(request.json as JsonObject);
          return;
      }
      this.#respond(request);
    } catch (error) {
      this.#fail(request, error as FluxError);
    }
  }

  async #loadShell(rank: number): Promise<void> {
    if (this.#shells.has(rank)) return;
    const host = this.#makeHost('shell', rank);
    this.#shells.set(rank, host);
    await host.start(
      shellModule(() => ({
        environment: async () => ({ LANG: 'C.UTF-8' }),
        localUri: async () => `local://rank-${rank}`,
        thread: {
          spawnTurn: async () => {},
          layouts: new Map(),
          slowReaders: new SlowReaders(),
          guard: { enter: () => {}, leave: () => {} },
        },
      })),
    );
  }

  /** What rexec tells of the last program it was asked to run; undefined is the end. */
  tellOfProgram(payload: JsonObject | undefined): void {
    if (payload) this.#respond(this.#program!, payload);
    else this.#fail(this.#program!, new FluxError('ENODATA'));
  }

  // ---- the KVS

  #namespace(name: string): Map<string, string | Treeobj> {
    const namespace = this.kvs.get(name);
    if (!namespace) throw new FluxError('EOPNOTSUPP');
    return namespace;
  }

  #createNamespace(request: Message): void {
    const { namespace } = request.unpack({ namespace: 's' });
    if (this.kvs.has(namespace)) throw new FluxError('EEXIST');
    this.kvs.set(namespace, new Map());
  }

  #commit(request: Message): JsonObject {
    const { namespace, ops } = request.unpack({ namespace: 's', ops: 'a' });
    const keys = this.#namespace(namespace);
    for (const { key, flags, dirent } of ops as unknown as readonly Operation[]) {
      if (dirent?.type !== 'val') {
        if (dirent === null) keys.delete(key);
        else keys.set(key, dirent);
        continue;
      }
      const before = flags & OperationFlag.append ? (keys.get(key) ?? '') : '';
      keys.set(key, `${before}${valBytes(dirent)}`);
    }
    this.commits++;
    return { rootref: `${namespace}-root`, rootseq: this.commits };
  }

  #lookup(request: Message): JsonObject {
    const { namespace, key } = request.unpack({ namespace: 's', key: 's' });
    const value = this.#namespace(namespace).get(key);
    if (value === undefined) throw new FluxError('ENOENT');
    return { val: typeof value === 'string' ? makeVal(Buffer.from(value)) : value };
  }

  /** Lets commits that wait be made. */
  unstick(): void {
    this.isKvsStuck = false;
    for (const commit of this.#stuck.splice(0)) commit();
  }

  /** The events of a log of a job's namespace: `name context`, with times and process ids left out. */
  events(id: bigint, log: string): string[] {
    const text = this.kvs.get(jobNamespace(id))?.get(log) ?? '';
    return String(text)
      .split('\n')
      .filter(Boolean)
      .map((line) => {
        const { name, context } = parseJson(line) as JsonObject;
        return context ? `${name} ${stringifyJson(context).replace(/"pid":\d+/, '"pid":1')}` : String(name);
      });
  }

  /** What the tasks of a job have written, but for its ends. */
  output(id: bigint): string[] {
    return this.events(id, 'output').filter((event) => event.startsWith('data') && !event.includes('eof'));
  }

  /** The notes of the exceptions that shells have raised. */
  get raisedNotes(): string[] {
    return this.asked
      .filter(({ topic }) => topic === 'job-manager.raise')
      .map(({ payload }) => String((payload as JsonObject).note));
  }

  // ---- jobs

  /** Asks job-exec to start a job; its answers come to what `answers` takes. */
  startJob(id: bigint, job: JobOptions = {}): number {
    const { command = ['exit'], ranks = '0', cores = '0', system = {}, options, userid = owner.userid } = job;
    const { count } = IdSet.parse(ranks);
    const { tasks = count } = job;
    const jobspec = {
      version: 1,
      resources: [{ type: 'slot', count: tasks, label: 'task', with: [{ type: 'core', count: 1 }] }],
      tasks: [{ command, slot: 'task', count: { per_slot: 1 } }],
      attributes: {
        system: { duration: 0, cwd: '/tmp', ...system, ...(options && { shell: { options } }) },
      },
    };
    const R = {
      version: 1,
      execution: {
        R_lite: [{ rank: ranks, children: { core: cores } }],
        nslots: tasks,
        nodelist: [`node[${ranks}]`],
        starttime: job.starttime ?? this.agenda.clock('test').now(),
        expiration: job.expiration ?? 0,
      },
    };
    this.kvs.get('primary')!.set(jobKey(id, 'J'), wrapUnsigned(stringifyJson(jobspec), userid));
    return this.send('job-exec.start', { id, userid, jobspec, R, reattach: job.reattach ?? false });
  }

  /** As `startJob`, and waits for its end; its answers in short: `type data`. */
  async runJob(id: bigint, job: JobOptions = {}): Promise<string[]> {
    const matchtag = this.startJob(id, job);
    return this.whenReleased(matchtag);
  }

  /** Waits until a job's resources are released. */
  async whenReleased(matchtag: number): Promise<string[]> {
    await this.until(() => this.said(matchtag).some((text) => text.startsWith('release')));
    return this.said(matchtag);
  }

  /** The answers about a job so far, in short. */
  said(matchtag: number): string[] {
    return this.#answers.get(matchtag)!.map(({ errno, payload }) => {
      if (errno) return errno;
      const { type, data } = payload as { readonly type: string; readonly data: JsonObject };
      const { guest: _, guest_log: __, ...rest } = data;
      return stringifyJson(rest) === '{}' ? type : `${type} ${stringifyJson(rest)}`;
    });
  }

  /** The root of what a job wrote, which the last answer about it tells; undefined when there is none. */
  guestRoot(matchtag: number): JsonValue | undefined {
    const { data } = this.#answers.get(matchtag)!.at(-1)!.payload as { readonly data: JsonObject };
    return data.guest;
  }

  /** The job manager tells of an exception. */
  exception(payload: JsonObject): void {
    const event = Message.event('job-exception', payload);
    queueMicrotask(() => this.#jobExec.receive(event));
  }

  event(topic: string, payload: JsonObject): void {
    this.#jobExec.receive(Message.event(topic, payload));
  }

  /** A rank is lost with all that ran there; what was asked of it fails. */
  loseRank(rank: number): void {
    this.#unreachable.add(rank);
    for (const request of this.#starts.get(rank) ?? []) this.#fail(request, new FluxError('EHOSTUNREACH'));
  }

  // ---- requests

  send(topic: string, payload?: Payload, { user = owner, nodeid = 0, flags = Flag.streaming as number } = {}): number {
    const matchtag = ++this.#matchtag;
    const request = Message.request({ topic, payload, matchtag, flags, nodeid, credentials: user });
    this.#answers.set(matchtag, []);
    this.#route(request, CLIENT, 0);
    return matchtag;
  }

  #take(response: Message): void {
    this.#answers.get(response.matchtag)?.push({
      errno: response.errnum ? errnoName(response.errnum) : '',
      text: response.errnum ? response.errorText() : undefined,
      payload: response.errnum ? undefined : response.json,
    });
    if (response.topic === 'job-exec.start' && !response.errnum) this.#adopt(response.json as JsonObject);
  }

  /** As the job manager: what a short job has written is stored with the event of its end. */
  #adopt({ id, data }: JsonObject): void {
    for (const [key, text] of Object.entries(((data as JsonObject).guest_log ?? {}) as JsonObject))
      this.kvs.get(jobNamespace(BigInt(id as number)))!.set(key, String(text));
  }

  async ask(topic: string, payload?: Payload, options: { user?: Credentials; nodeid?: number } = {}): Promise<Answer> {
    const matchtag = this.send(topic, payload, { ...options, flags: 0 });
    const answers = this.#answers.get(matchtag)!;
    await this.until(() => answers.length > 0);
    return answers[0]!;
  }

  // ---- time

  /** Lets everything happen that takes no time to speak of, until something is so. */
  async until(condition: () => boolean, soon = SOON): Promise<void> {
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      if (condition()) return;
      if (turn % TURNS_PER_STEP === 0 && this.agenda.nextTime - this.agenda.time < soon) this.agenda.step();
    }
    assert.fail(`it never came true: ${condition}`);
  }

  /** Lets time pass. */
  async pass(seconds: number): Promise<void> {
    const end = this.agenda.time + seconds;
    for (;;) {
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
      if (this.agenda.nextTime > end) break;
      this.agenda.step();
    }
    this.agenda.skipTo(end);
  }
}

/** A test in a world of its own. */
export function inWorld(name: string, options: JobWorldOptions, body: (world: JobWorld) => Promise<void>): void {
  test(name, async () => {
    const world = await JobWorld.start(options);
    try {
      await body(world);
    } finally {
      world.close();
    }
  });
}

interface Operation {
  readonly key: string;
  readonly flags: number;
  readonly dirent: Treeobj | null;
}
