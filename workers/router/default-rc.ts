/**
 * rc1 and rc3 as they are unless the attributes broker.rc1_path and rc3_path say otherwise: modules are loaded and removed
 * by the broker itself, without a process. Only what dumps and restores content is a program.
 */

import type { Broker } from '../../core/broker/broker.ts';
import { crontabScript } from '../../core/broker/crontab-script.ts';
import { dumpScript, restoreScript } from '../../core/broker/dump-scripts.ts';
import { DISABLE_JOB_CLEANUP, jobCleanupSteps } from '../../core/broker/job-cleanup.ts';
import { lifeEventCommit } from '../../core/broker/life-event.ts';
import { ModuleOrder } from '../../core/broker/module-order.ts';
import { builtinModules, bundledEntries, chooseBacking, initialModules } from '../../core/broker/module-table.ts';
import type { Modules } from '../../core/broker/modules.ts';
import type { RcPrograms } from '../../core/broker/rc.ts';

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
const orders = new Map<string, readonly string[]>();

function moduleOrder(isLeader: boolean, backing: string | undefined): readonly string[] {
  const key = `${isLeader} ${backing}`;
  let names = orders.get(key);
  if (!names) {
    const never = () => false;
    const place = { rank: isLeader ? 0 : 1, hasConfig: never, hasAttribute: never, hasVariable: never };
    const order = new ModuleOrder(chooseBacking(bundledEntries, backing), place);
    names = order.sequence(order.requirements(initialModules));
    orders.set(key, names);
  }
  return names;
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

  #order(): readonly string[] {
    return moduleOrder(this.#host.broker.rank === 0, this.#attribute('content.backing-module'));
  }

  // ---- rc1

  /** All that comes before the KVS: what is restored is there when it looks for its root. */
  async #loadStore(): Promise<void> {
    const names = this.#order();
    const restore = restoreScript(this.#attribute);
    await this.#load(names.slice(0, names.indexOf('kvs')), restore === undefined ? [] : ['truncate']);
    this.#pushScript('rc1', 'content-backing', restore);
  }

  async #finishLoading(): Promise<void> {
    await this.#load(this.#order(), []);
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

  async #load(names: readonly string[], backingArgs: readonly string[]): Promise<void> {
    const { modules } = this.#host;
    for (const path of names) {
      if (modules.get(path)) continue;
      const usual = bundledEntries.find(({ name }) => name === path)?.args ?? [];
      await modules.load({ path, args: path.startsWith('content-') ? [...usual, ...backingArgs] : usual });
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
