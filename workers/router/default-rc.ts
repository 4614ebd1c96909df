/**
 * rc1 and rc3 as they are unless the attributes broker.rc1_path and rc3_path say otherwise: modules are loaded and removed
 * by the broker itself, without a process. Only what dumps and restores content is a program.
 */

import type { Broker } from '../../core/broker/broker.ts';
import { valueAt } from '../../core/broker/config-path.ts';
import { crontabScript } from '../../core/broker/crontab-script.ts';
import { dumpScript, restoreScript } from '../../core/broker/dump-scripts.ts';
import { DISABLE_JOB_CLEANUP, jobCleanupSteps } from '../../core/broker/job-cleanup.ts';
import { lifeEventCommit } from '../../core/broker/life-event.ts';
import { ModuleOrder, type ModulePlace } from '../../core/broker/module-order.ts';
import {
  builtinModules,
  bundledEntries,
  chooseBacking,
  disabledServices,
  disableService,
  extendTable,
  initialModules,
  type ModuleEntry,
} from '../../core/broker/module-table.ts';
import type { Modules } from '../../core/broker/modules.ts';
import type { RcPrograms } from '../../core/broker/rc.ts';
import { isObject } from '../../core/message/unpack.ts';

export interface DefaultRcHost {
  readonly broker: Broker;
  readonly modules: Modules;
  readonly programs: RcPrograms;
  shell(): string;
  /** A variable of the rank's environment. */
  variable(name: string): string | undefined;
}

/**
 * The modules of rank 0 and of the others, by the backing store that is wanted, in the order in which they are loaded. No
 * module that comes with the broker depends on more than that, and there are thousands of ranks.
 */
const usualModules = new Map<string, readonly ModuleEntry[]>();

function modulesOf(table: readonly ModuleEntry[], place: ModulePlace): readonly ModuleEntry[] {
  const order = new ModuleOrder(table, place);
  return order.sequence(order.requirements(initialModules)).map((name) => order.entry(name)!);
}

function usualModulesOf(isLeader: boolean, backing: string | undefined): readonly ModuleEntry[] {
  const key = `${isLeader} ${backing}`;
  let entries = usualModules.get(key);
  if (!entries) {
    const never = () => false;
    const place = { rank: isLeader ? 0 : 1, hasConfig: never, hasAttribute: never, hasVariable: never };
    entries = modulesOf(chooseBacking(bundledEntries, backing), place);
    usualModules.set(key, entries);
  }
  return entries;
}

export class DefaultRc {
  readonly #host: DefaultRcHost;

  constructor(host: DefaultRcHost) {
    this.#host = host;
  }

  // What is pushed last runs first, and a step may push what comes between it and the next.

  pushRc1(): void {
    const { broker, programs } = this.#host;
    programs.pushInternal('rc1', () => this.#finishLoading());
    if (broker.rank === 0) programs.pushInternal('rc1', () => this.#loadStore());
  }

  pushRc3(): void {
    const { broker, programs } = this.#host;
    programs.pushInternal('rc3', () => this.#removeAll());
    if (broker.rank === 0) programs.pushInternal('rc3', () => this.#endStore());
  }

  #attribute = (name: string): string | undefined => this.#host.broker.attributes.get(name);

  /** Runs a shell command where a service is. */
  #pushScript(level: 'rc1' | 'rc3', service: string, script: string | undefined): void {
    const { broker, programs, shell } = this.#host;
    if (script !== undefined && broker.hasService(service))
      programs.push(level, { argv: [shell(), '-c', script], passThrough: false, text: script });
  }

  #hasBacking(): boolean {
    return this.#host.broker.hasService('content-backing');
  }

  /**
   * The modules of this rank, in the order in which they are loaded.
   *
   * @throws FluxError EINVAL, ENOENT: what is wrong in `[modules]` or FLUX_MODPROBE_DISABLE
   */
  #wanted(): readonly ModuleEntry[] {
    const { broker, variable } = this.#host;
    const { rank, config } = broker;
    const backing = this.#attribute('content.backing-module');
    const disabled = disabledServices(variable('FLUX_MODPROBE_DISABLE'));
    if (!isObject(config.modules) && disabled.length === 0) return usualModulesOf(rank === 0, backing);
    const changed = isObject(config.modules) ? extendTable(bundledEntries, config.modules) : bundledEntries;
    return modulesOf(disabled.reduce(disableService, chooseBacking(changed, backing)), {
      rank,
      hasConfig: (key) => valueAt(config, key) !== undefined,
      hasAttribute: (name) => this.#attribute(name) !== undefined,
      hasVariable: (name) => variable(name) !== undefined,
    });
  }

  // ---- rc1

  /** All that comes before the KVS: what is restored is there when it looks for its root. */
  async #loadStore(): Promise<void> {
    const entries = this.#wanted();
    const behind = entries.findIndex(({ name }) => name === 'kvs');
    const restore = restoreScript(this.#attribute);
    await this.#load(behind < 0 ? entries : entries.slice(0, behind), restore === undefined ? [] : ['truncate']);
    this.#pushScript('rc1', 'content-backing', restore);
  }

  async #finishLoading(): Promise<void> {
    await this.#load(this.#wanted(), []);
    await this.#noteLife('start');
    if (this.#host.broker.rank > 0) return;
    this.#pushScript('rc1', 'cron', crontabScript(this.#attribute));
    this.#pushJobCleanup();
  }

  #pushJobCleanup(): void {
    const { broker, programs, variable } = this.#host;
    if (variable(DISABLE_JOB_CLEANUP) !== undefined) return;
    for (const { topic, payload } of [...jobCleanupSteps].reverse())
      programs.pushInternal('cleanup', async () => {
        // Somebody may have removed it.
        if (broker.hasService(topic.slice(0, topic.indexOf('.')))) await broker.rpc(topic, payload);
      });
  }

  async #load(entries: readonly ModuleEntry[], backingArgs: readonly string[]): Promise<void> {
    const { modules } = this.#host;
    for (const { name, module, args: usual, exec, provides } of entries) {
      if (modules.get(name)) continue;
      const args = provides.includes('content-backing') ? [...usual, ...backingArgs] : usual;
      await modules.load({ path: module, args, exec, ...(module !== name && { name }) });
    }
  }

  // ---- rc3

  async #endStore(): Promise<void> {
    const { broker } = this.#host;
    await this.#noteLife('finish');
    await this.#remove((name) => name.startsWith('content') || name === 'heartbeat');
    if (this.#hasBacking()) await broker.rpc('content.flush');
    this.#pushScript('rc3', 'content-backing', dumpScript(this.#attribute));
  }

  #removeAll(): Promise<void> {
    return this.#remove(() => false);
  }

  /** Removes modules, the last loaded first. */
  async #remove(isKept: (name: string) => boolean): Promise<void> {
    const { modules } = this.#host;
    for (const name of modules.names().reverse())
      if (!builtinModules.includes(name) && !isKept(name)) await modules.remove(name);
  }

  /** That the instance has started, or ends: for `flux startlog`, where what is stored stays. */
  async #noteLife(name: 'start' | 'finish'): Promise<void> {
    const { broker } = this.#host;
    if (broker.rank > 0 || !this.#hasBacking() || !broker.hasService('kvs')) return;
    const version = this.#attribute('version')!;
    await broker.rpc('kvs.commit', lifeEventCommit(name, broker.world.clock.now(), version));
  }
}
