/** The KVS of instances with a past, and with threads of its own. */

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { CommitFlag } from '../core/formats/kvs-flags.ts';
import { Handle } from '../core/handle/handle.ts';
import { Kvs } from '../core/handle/kvs.ts';
import { type Figure, figure } from './figure.ts';
import { withInstance } from './instance.ts';
import { commit, createNamespaces, fillDirectory, lookup } from './kvs-requests.ts';
import { rates, roundTime } from './rate.ts';
import { type Scale, scaled } from './scale.ts';
import { SLOT } from './template.ts';
import { WireClient } from './wire-client.ts';

/** Entries of each directory of a store that is opened again. */
const ENTRIES = 1000;

/** From `flux start` on a state directory with so many keys until the first of them is looked up. */
export async function restartTimes(flux: string, scale: Scale): Promise<Figure[]> {
  const sizes = scaled(scale, [1000, 100_000, 1_000_000], [1000, 50_000], [1000]);
  const rounds = scaled(scale, 5, 2, 1);
  const figures: Figure[] = [];
  for (const size of sizes) {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-bench-'));
    const options = [`-Sstatedir=${folder}`];
    await withInstance(flux, options, async (uri) => {
      const handle = await Handle.open(uri);
      for (let filled = 0; filled < size; filled += ENTRIES)
        await fillDirectory(new Kvs(handle), `bench.d${filled / ENTRIES}`, { to: ENTRIES });
      await handle.close();
    });
    const samples: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const start = performance.now();
      await withInstance(flux, options, async (uri) => {
        const client = await WireClient.connect(uri);
        await client.ask(lookup(`bench.d0.k${SLOT}`).with(round));
        samples.push((performance.now() - start) / 1000);
        client.close();
      });
    }
    fs.rmSync(folder, { recursive: true });
    figures.push(figure(`kvs.restart-${size}`, 's', 'less', samples));
  }
  return figures;
}

/** Eight clients that commit into so many namespaces, which are dealt out to so many threads. */
export async function workerRates(flux: string, scale: Scale): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const workers of scaled(scale, [0, 1, 2], [0, 1, 2], [0, 1]))
    await withInstance(flux, [`--conf=engine.kvs-workers=${workers}`], async (uri) => {
      const clients = await Promise.all(Array.from({ length: 8 }, () => WireClient.connect(uri)));
      const handle = await Handle.open(uri);
      await createNamespaces(handle, { to: 4 });
      await handle.close();
      let value = 0;
      for (const namespaces of scaled(scale, [1, 2, 4], [1, 4], [1, 4])) {
        const templates = clients.map((_, client) =>
          commit(`client-${client}`, { namespace: `bench-${SLOT}`, flags: CommitFlag.noMerge }),
        );
        const next = (client: number) => templates[client]!.with(client % namespaces, ++value);
        const name = `kvs.cores-${os.availableParallelism()}.workers-${workers}.namespaces-${namespaces}`;
        figures.push(figure(name, 'commits/s', 'more', await rates(clients, 8, next, roundTime(scale))));
      }
      for (const client of clients) client.close();
    });
  return figures;
}
