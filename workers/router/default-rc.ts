/**
 * rc1 and rc3 as they are unless the attributes broker.rc1_path and rc3_path say otherwise: modules are loaded and removed
 * by the broker itself, without a process. Only what dumps and restores content is a program.
 */

import type { Broker } from '../../core/broker/broker.ts';
import { dumpScript, restoreScript } from '../../core/broker/dump-scripts.ts';
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
  hasVariable(name: string): boolean;
}

export class DefaultRc {
  readonly #host: DefaultRcHost;

  constructor(host: DefaultRcHost) {
    this.#host = host;
  }

  // What is pushed last runs first, and a step may push what comes between it and the next.

  pushRc1(): void {
    const { programs } = this.#host;
    programs.pushInternal('rc1', () => this.#finishLoading());
    programs.pushInternal('rc1', () => this.#loadStore());
  }

  pushRc3(): void {
    const { programs } = this.#host;
    programs.pushInternal('rc3', () => this.#removeAll());
    programs.pushInternal('rc3', () => this.#endStore());
  }

  #attribute = (name: string): string | undefined => this.#host.broker.attributes.get(name);

  #pushScript(level: 'rc1' | 'rc3', script: string | undefined): void {
    const { broker, programs, shell } = this.#host;
    if (script !== undefined && this.#hasBacking() && broker.rank === 0)
      programs.push(level, { argv: [shell(), '-c', script], passThrough: false, text: script });
  }

  #hasBacking(): boolean {
    return this.#host.broker.hasService('content-backing');
  }

  #order(): string[] {
    const { broker, hasVariable } = this.#host;
    const table = chooseBacking(bundledEntries, this.#attribute('content.backing-module'));
    const order = new ModuleOrder(table, {
      rank: broker.rank,
      hasConfig: () => false,
      hasAttribute: (name) => broker.attributes.has(name),
      hasVariable,
    });
    return order.sequence(order.requirements(initialModules));
  }

  // ---- rc1

  /** All that comes before the KVS: what is restored is there when it looks for its root. */
  async #loadStore(): Promise<void> {
    const names = this.#order();
    const restore = restoreScript(this.#attribute);
    await this.#load(names.slice(0, names.indexOf('kvs')), restore === undefined ? [] : ['truncate']);
    this.#pushScript('rc1', restore);
  }

  async #finishLoading(): Promise<void> {
    await this.#load(this.#order(), []);
    await this.#noteLife('start');
  }

  async #load(names: readonly string[], backingArgs: readonly string[]): Promise<void> {
    const { modules } = this.#host;
    for (const path of names)
      if (!modules.get(path)) await modules.load({ path, args: path.startsWith('content-') ? backingArgs : [] });
  }

  // ---- rc3

  async #endStore(): Promise<void> {
    const { broker } = this.#host;
    await this.#noteLife('finish');
    await this.#remove((name) => name.startsWith('content') || name === 'heartbeat');
    if (broker.rank === 0 && this.#hasBacking()) await broker.rpc('content.flush');
    this.#pushScript('rc3', dumpScript(this.#attribute));
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
