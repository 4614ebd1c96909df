/** The KVS with threads of its own. */

import os from 'node:os';
import { CommitFlag } from '../core/formats/kvs-flags.ts';
import { Handle } from '../core/handle/handle.ts';
import { type Figure, figure } from './figure.ts';
import { withInstance } from './instance.ts';
import { commit, createNamespaces } from './kvs-requests.ts';
import { rates, round } from './rate.ts';
import { type Scale, scaled } from './scale.ts';
import { SLOT } from './template.ts';
import { WireClient } from './wire-client.ts';

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
        figures.push(figure(name, 'commits/s', 'more', await rates(clients, 8, next, round(scale))));
      }
      for (const client of clients) client.close();
    });
  return figures;
}
