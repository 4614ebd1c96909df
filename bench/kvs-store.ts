/** The KVS of instances with a past. */

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Handle } from '../core/handle/handle.ts';
import { Kvs } from '../core/handle/kvs.ts';
import { type Figure, figure } from './figure.ts';
import { withInstance } from './instance.ts';
import { fillDirectory, lookup } from './kvs-requests.ts';
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
