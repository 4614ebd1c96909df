/** A rank with the module kvs-watch, told of a model KVS in either way, and clients that watch. */

import { LookupFlag } from '../../../core/formats/kvs-flags.ts';
import { type Treeobj, valBytes } from '../../../core/formats/treeobj.ts';
import type { JsonObject } from '../../../core/json.ts';
import { kvsWatchModule } from '../../../workers/kvs-watch/kvs-watch.ts';
import { SlowReaders } from '../../../workers/rexec/slow-readers.ts';
import { type Call, owner, type SimulatedClient } from '../../sim/client.ts';
import { Simulation } from '../../sim/simulation.ts';
import { ModelKvs } from './model-kvs.ts';

/** How the module learns of the KVS: by calls on its thread, or by messages. */
export const sources = ['calls', 'messages'] as const;
export type SourceName = (typeof sources)[number];

export class Watching {
  readonly kvs = new ModelKvs();
  readonly slowReaders = new SlowReaders();
  readonly sim: Simulation;

  private constructor(source: SourceName, seed: number) {
    const { kvs } = this;
    const shared = source === 'calls' ? { kvs, content: kvs.content } : {};
    const { kvs: model, content } = kvs.modules;
    const modules = {
      'model-kvs': model,
      'model-content': content,
      'model-kvs-watch': kvsWatchModule(shared, this.slowReaders),
    };
    this.sim = new Simulation({ seed, modules, rc1: '', rc3: '' });
  }

  static async start(source: SourceName, seed = 1): Promise<Watching> {
    const watching = new Watching(source, seed);
    await watching.sim.start();
    const client = watching.connect();
    for (const name of ['content', 'kvs', 'kvs-watch'])
      await client.rpc('module.load', { path: `model-${name}`, name, args: [] });
    watching.kvs.create('ns');
    await watching.sim.settle();
    return watching;
  }

  connect(credentials = owner): SimulatedClient {
    return this.sim.connect(0, credentials);
  }

  /** A client takes what it is sent, or does not. */
  setSlow({ endpoint }: SimulatedClient, isSlow: boolean): void {
    this.slowReaders.set(this.sim.ranks[0]!.connector.uuidOf(endpoint)!, isSlow);
  }

  /** Goes on until nothing happens any more. */
  settle(): Promise<void> {
    return this.sim.settle();
  }
}

/** Watches a key of the namespace `ns`; `flags` without `watch` itself. */
export function watch(client: SimulatedClient, key: string, flags = 0, namespace = 'ns'): Call {
  return client.stream('kvs-watch.lookup', { namespace, key, flags: flags | LookupFlag.watch });
}

/** What came: values as text, `-` for an answer without a value, other tree objects as they are, an error's code. */
export function told({ answers }: Call): unknown[] {
  return answers.map((answer) => {
    if (answer.errnum) return answer.error().code;
    const { val } = (answer.json ?? {}) as JsonObject;
    if (val === undefined) return '-';
    const treeobj = val as unknown as Treeobj;
    return treeobj.type === 'val' ? valBytes(treeobj).toString() : treeobj;
  });
}
