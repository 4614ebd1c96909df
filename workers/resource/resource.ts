/**
 * The module `resource`: what the instance has to run jobs on, which of it is up, and what is not to be used for a time.
 * Rank 0 knows all of that; the other ranks answer for themselves.
 */

import type { ModuleDefinition, Service, ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { IdSet } from '../../core/formats/idset.ts';
import { resourceSetToJson } from '../../core/formats/resource-json.ts';
import { verifyResources } from '../../core/formats/resource-verify.ts';
import { LATER, type Methods, type Reply, type Request } from '../../core/handle/methods.ts';
import { endingMethods } from '../../core/handle/request-list.ts';
import type { JsonObject } from '../../core/json.ts';
import { Role } from '../../core/message/credentials.ts';
import { Acquire } from './acquire.ts';
import { Availability } from './availability.ts';
import { Drain } from './drain.ts';
import { Inventory, machineSet } from './inventory.ts';
import { Journal } from './journal.ts';
import type { Machine, Machines } from './machine.ts';
import { Monitor } from './monitor.ts';
import type { OpenParent } from './parent.ts';
import { type ResourceArguments, type ResourceSettings, resourceArguments, resourceSettings } from './settings.ts';
import { Status } from './status.ts';

/** The module of rank 0. */
export function resourceModule(machines: Machines, openParent: OpenParent): ModuleDefinition {
  return {
    async start(context, args) {
      const settings = resourceSettings(context.config);
      const resource = new Resource(context, settings, machines, openParent);
      await resource.open(settings, resourceArguments(args));
      return resource;
    },
  };
}

class Resource implements Service {
  readonly #context: ServiceContext;
  readonly #machines: Machines;
  readonly #inventory: Inventory;
  readonly #journal: Journal;
  /** Made when all is there that they need. */
  methods: Methods = {};
  #resources!: Availability;
  #acquire!: Acquire;
  #status!: Status;

  constructor(context: ServiceContext, settings: ResourceSettings, machines: Machines, openParent: OpenParent) {
    this.#context = context;
    this.#machines = machines;
    this.#inventory = new Inventory(context, machines, openParent);
    this.#journal = new Journal(context, settings.journalMax, () => this.#inventory.R);
  }

  // ---- start and end

  async open(settings: ResourceSettings, { forcesUp, verifies, truncates }: ResourceArguments): Promise<void> {
    const past = await this.#journal.load();
    await this.#inventory.restore(settings);
    const exclude = this.#excluded(settings.exclude);
    const drain = new Drain(this.#context, this.#journal, this.#inventory, exclude);
    const checkpoint = await drain.restore(past);
    const oldest = Math.min(checkpoint, this.#context.clock.now() - settings.history);
    if (truncates && past.length && settings.history !== Infinity) await this.#journal.forget(oldest);
    if (verifies) await this.#verify(settings, drain);
    await this.#inventory.discover(settings.partitions);
    const monitor = new Monitor(this.#context, this.#journal, this.#inventory.size);
    this.#resources = new Availability(this.#inventory, monitor, drain, exclude);
    this.#acquire = new Acquire(this.#resources);
    this.#status = new Status(this.#context, this.#resources);
    this.#journal.onEvent((name, context) => {
      this.#status.onEvent();
      this.#acquire.onEvent(name, context);
    });
    this.methods = this.#methods();
    await monitor.start(forcesUp);
    this.#inventory.publish(this.#journal).catch((error: Error) => this.#context.log('err', error.message));
    this.#inventory.follow(this.#journal);
  }

  #excluded(targets: string | undefined): IdSet {
    if (targets === undefined) return IdSet.empty;
    const fail = (why: string): never => {
      throw new FluxError('EINVAL', `error decoding exclude set ${targets}: ${why}`);
    };
    let ranks = IdSet.empty;
    try {
      ranks = this.#inventory.ranksOf(targets);
    } catch (error) {
      fail((error as Error).message);
    }
    if ((ranks.last ?? 0) >= this.#context.size) fail('it is out of range');
    return ranks;
  }

  /** Ranks that lack what is configured are drained. */
  async #verify({ verify, resources }: ResourceSettings, drain: Drain): Promise<void> {
    if (!verify || !resources) return;
    const check = async (rank: number, machine: Machine) => {
      const own = machineSet(IdSet.from([rank]), machine);
      const { verdict, text } = verifyResources(this.#inventory.set, own, verify);
      if (verdict !== 'match') await drain.drainUnfit(rank, text);
    };
    for (let rank = 0; rank < this.#context.size; rank++) {
      const machine = this.#machines.look(rank);
      if (machine) await check(rank, machine);
      else
        this.#machines
          .wait(rank)
          .then((late) => check(rank, late))
          .catch((error: Error) => this.#context.log('err', error.message));
    }
  }

  async stop(): Promise<void> {
    this.#resources.monitor.stop();
    await this.#resources.drain.checkpoint();
    this.#journal.stop();
    await this.#inventory.stop();
  }

  configure(config: JsonObject): void {
    this.#journal.max = resourceSettings(config).journalMax;
  }

  // ---- requests

  #methods(): Methods {
    const { drain, monitor } = this.#resources;
    const acquire = this.#acquire;
    const { readers } = this.#journal;
    const later =
      (action: (request: Request) => void) =>
      (request: Request): Reply => {
        action(request);
        return LATER;
      };
    return {
      status: { allow: Role.user, handler: () => this.#status.status() },
      'sched-status': { allow: Role.user, handler: () => this.#status.schedStatus() },
      get: { handler: () => this.#get() },
      reload: { handler: (request) => this.#reload(request) },
      'expiration-update': {
        handler: async (request) => {
          const { expiration } = request.unpack({ expiration: 'n' });
          await this.#inventory.setExpiration(expiration, this.#journal);
          return undefined;
        },
      },
      drain: { handler: later((request) => drain.drain(request)) },
      undrain: { handler: later((request) => drain.undrain(request)) },
      'monitor-waitup': { handler: later((request) => monitor.waitUp(request)) },
      'monitor-force-down': {
        handler: (request) => {
          monitor.forceDown(request.unpack({ ranks: 's' }).ranks);
          return undefined;
        },
      },
      acquire: { handler: later((request) => acquire.add(request)) },
      'acquire-cancel': endingMethods(Role.none, acquire.requests).cancel,
      'acquire-mute': {
        handler: () => {
          acquire.mute();
          return undefined;
        },
      },
      journal: { streaming: true, handler: later((request) => this.#journal.read(request)) },
      'journal-cancel': endingMethods(Role.none, readers).cancel,
      'topo-get': topologyMethod(this.#machines),
      disconnect: endingMethods(Role.user, acquire.requests, readers, monitor.waits).disconnect,
    };
  }

  #get(): JsonObject {
    const { R, method } = this.#inventory;
    if (!R) throw new FluxError('ENOENT', 'the resources are not known yet');
    return { R, method: method! };
  }

  async #reload(request: Request): Promise<Reply> {
    const { path, xml, force } = request.unpack({ path: 's', xml: 'b', force: 'b' });
    if (this.#acquire.requests.count) throw new FluxError('EBUSY', 'resources are busy (unload scheduler?)');
    await this.#inventory.reload(path, xml, force, this.#journal);
    return undefined;
  }
}

function topologyMethod(machines: Machines): Methods[string] {
  return { allow: Role.user, handler: () => Buffer.from(`${machines.describe()}\0`) };
}

/** The module of the other ranks, which answers what can be asked of any rank. */
export function resourceFollower(machines: Machines): ModuleDefinition {
  const onlyLeader: Methods[string] = {
    allow: Role.user,
    handler: () => {
      throw new FluxError('EPROTO', 'this RPC only works on rank 0');
    },
  };
  return {
    start(context) {
      return {
        methods: {
          status: onlyLeader,
          'sched-status': onlyLeader,
          'monitor-waitup': { ...onlyLeader, allow: Role.none },
          get: {
            handler: () => {
              const { resources } = resourceSettings(context.config);
              if (!resources) throw new FluxError('ENOENT');
              return { R: resourceSetToJson(resources), method: 'configuration' };
            },
          },
          'topo-get': topologyMethod(machines),
        },
      };
    },
  };
}
