/**
 * The modules of this thread that belong to ranks of other threads: process-wide services that the plan puts here, and
 * the modules that a user loaded. Each has an endpoint of its own; the first message to it is its welcome (RFC 5).
 */

import { ModuleStatus } from '../core/broker/module.ts';
import { ModuleHost, type World } from '../core/broker/module-host.ts';
import type { ModuleDefinition, ServiceContext } from '../core/broker/service.ts';
import { asFluxError, FluxError } from '../core/errno.ts';
import type { Methods } from '../core/handle/methods.ts';
import type { JsonObject } from '../core/json.ts';
import { Role } from '../core/message/credentials.ts';
import { Flag, Message, MessageType } from '../core/message/message.ts';
import type { ThreadControl } from '../core/node/thread-control.ts';
import { endpoint, indexOf, threadOf } from '../core/ring/endpoint.ts';
import type { Mailbox } from '../core/ring/mailbox.ts';
import { backingStore, bundledModule, kvsPart } from './bundled.ts';
import type { StoreThread } from './content/access.ts';
import { importModule } from './module-files.ts';
import { rexecModule } from './rexec/rexec.ts';
import { type ProgramThread, shellModule } from './shell/host.ts';

/** Runs one module for a broker that it exchanges messages with; where the messages go is up to who makes it. */
export class RemoteModule {
  readonly #definition: () => Promise<ModuleDefinition>;
  readonly #send: (message: Message) => void;
  readonly #onEnd: () => void;
  readonly #world: World;
  #host: ModuleHost | undefined;
  #isEnding = false;

  /**
   * @param definition reads what the module is
   * @param onEnd called when it was told to end and has
   * @param world what the module reaches beyond messages
   */
  constructor(
    definition: () => Promise<ModuleDefinition>,
    send: (message: Message) => void,
    onEnd: () => void,
    world: World,
  ) {
    this.#definition = definition;
    this.#send = send;
    this.#onEnd = onEnd;
    this.#world = world;
  }

  receive(message: Message): void {
    if (!this.#host) void this.#welcome(message);
    else if (message.type === MessageType.request && message.topic === `${this.#host.name}.shutdown`)
      void this.#shutdown();
    else this.#host.receive(message);
  }

  async #welcome(message: Message): Promise<void> {
    const { args, attrs, conf, name, uuid } = message.unpack({
      args: 'a',
      attrs: 'o',
      conf: 'o',
      name: 's',
      uuid: 's',
    });
    const attribute = (key: string) => attrs[key] as string | undefined;
    const number = (key: string) => Number(attrs[key]);
    const welcome = {
      name,
      uuid,
      rank: number('rank'),
      size: number('size'),
      owner: number('security.owner'),
      args: args as string[],
      config: conf,
      attribute,
    };
    this.#host = new ModuleHost(welcome, this.#world, this.#send);
    try {
      await this.#host.start(await this.#definition());
      this.#tellStatus({ status: ModuleStatus.running });
    } catch (error) {
      // It was told to end while it started, and all is said about that.
      if (this.#isEnding) return;
      const fault = asFluxError(error, 'EINVAL');
      this.#host.log('err', `module ${name} cannot start: ${fault.message}`);
      this.#tellStatus({ status: ModuleStatus.exited, errnum: fault.errno });
      this.#onEnd();
    }
  }

  async #shutdown(): Promise<void> {
    this.#isEnding = true;
    this.#tellStatus({ status: ModuleStatus.finalizing });
    let errnum = 0;
    try {
      await this.#host!.stop();
    } catch (error) {
      errnum = asFluxError(error).errno;
    }
    this.#tellStatus({ status: ModuleStatus.exited, errnum });
    this.#onEnd();
  }

  #tellStatus(payload: JsonObject): void {
    this.#send(
      Message.request({
        topic: 'module.status',
        payload,
        flags: Flag.noresponse,
        credentials: { userid: 0, rolemask: Role.owner },
      }),
    );
  }
}

export class RemoteModules {
  readonly #mailbox: Mailbox;
  readonly #control: () => ThreadControl;
  readonly #world: World;
  readonly #programs: ProgramThread;
  readonly #store: StoreThread;
  readonly #kvsShards: number;
  readonly #modules = new Map<number, RemoteModule>();
  #lastIndex = 0;

  /** `control` is how other threads are asked; `kvsShards` is how many have parts of the KVS. */
  constructor(
    mailbox: Mailbox,
    control: () => ThreadControl,
    world: World,
    programs: ProgramThread,
    store: StoreThread,
    kvsShards: number,
  ) {
    this.#store = store;
    this.#kvsShards = kvsShards;
    this.#mailbox = mailbox;
    this.#control = control;
    this.#world = world;
    this.#programs = programs;
  }

  async #service(name: string, rankEndpoint: number): Promise<ModuleDefinition> {
    if (name === 'rexec') return rexecModule((context) => this.#programHost(context, rankEndpoint));
    if (name === 'shell') return shellModule((context) => this.#programHost(context, rankEndpoint));
    const definition = (await backingStore(name)) ?? (await kvsPart(name, this.#kvsShards, this.#store));
    if (!definition) throw new FluxError('ENOENT', `no service ${name} can run here`);
    return definition;
  }

  /** What those who run programs reach of a rank of another thread. */
  #programHost(context: ServiceContext, rankEndpoint: number) {
    return {
      environment: () =>
        this.#control().rpc<Record<string, string>>(threadOf(rankEndpoint), 'rank.environment', { rank: context.rank }),
      localUri: async () => ((await context.rpc('attr.get', { name: 'local-uri' })) as { value: string }).value,
      thread: this.#programs,
    };
  }

  #add(definition: () => Promise<ModuleDefinition>, rankEndpoint: number): number {
    const index = ++this.#lastIndex;
    const address = endpoint(this.#mailbox.thread, index);
    const send = (message: Message) => this.#mailbox.send(rankEndpoint, address, message);
    this.#modules.set(index, new RemoteModule(definition, send, () => this.#modules.delete(index), this.#world));
    return address;
  }

  receive(message: Message, to: number): void {
    this.#modules.get(indexOf(to))?.receive(message);
  }

  readonly methods: Methods = {
    'service.start': {
      handler: async (request) => {
        const { service, rankEndpoint } = request.unpack({ service: 's', rankEndpoint: 'i' });
        const definition = await this.#service(service, rankEndpoint);
        return { endpoint: this.#add(async () => definition, rankEndpoint) };
      },
    },
    'module.start': {
      handler: (request) => {
        const { path, rankEndpoint } = request.unpack({ path: 's', rankEndpoint: 'i' });
        return { endpoint: this.#add(async () => bundledModule(path) ?? importModule(path), rankEndpoint) };
      },
    },
  };
}
