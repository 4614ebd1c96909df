/** Blobs to and from the content service of rank 0, through its cache. */

import { createHash } from 'node:crypto';
import { Handle } from '../core/handle/handle.ts';
import { type Figure, figure } from './figure.ts';
import { rates, round } from './rate.ts';
import { type Scale, scaled } from './scale.ts';
import { requestFrame, WireClient } from './wire-client.ts';

interface BlobSize {
  readonly name: string;
  readonly bytes: number;
  /** How many different blobs are loaded in turn. */
  readonly loaded: number;
  readonly window: number;
  /** How many are stored at once: no more than the cache holds until they are in the backing store. */
  readonly stored: number;
  readonly unit: string;
  /** What a blob counts in that unit. */
  readonly worth: number;
}

const sizes: readonly BlobSize[] = [
  { name: '256', bytes: 256, loaded: 1024, window: 256, stored: 100_000, unit: 'blobs/s', worth: 1 },
  { name: '1048576', bytes: 2 ** 20, loaded: 16, window: 4, stored: 48, unit: 'MB/s', worth: 2 ** 20 / 1e6 },
];

/** A blob's number, which makes it unlike others, stands in its first bytes. */
function numbered(blob: Buffer, number: number): Buffer {
  blob.writeUInt32BE(number);
  return blob;
}

/** Small blobs and large ones, new ones stored, known ones loaded. */
export async function contentRates(uri: string, scale: Scale): Promise<Figure[]> {
  const handle = await Handle.open(uri);
  const hash = await handle.attribute('content.hash');
  const client = await WireClient.connect(uri);
  const figures: Figure[] = [];
  for (const { name, bytes, loaded, window, stored, unit, worth } of sizes) {
    // What was stored before is not to be written meanwhile.
    const before = () => handle.rpc('content.flush');
    const measure = async (what: string, next: () => Buffer, requests?: number) => {
      const rounds = { ...round(scale), ...(requests && { requests }), before };
      const samples = (await rates([client], window, next, rounds)).map((rate) => rate * worth);
      figures.push(figure(`content.${what}-${name}`, unit, 'more', samples));
    };
    const blob = Buffer.alloc(bytes, 'content');
    const store = requestFrame('content.store', blob);
    const at = store.indexOf(blob);
    let count = 0;
    const nextStored = () => {
      store.writeUInt32BE(count++, at);
      return store;
    };
    await measure('store', nextStored, stored);
    // The last are in the cache.
    const digests = Array.from({ length: Math.min(count, scaled(scale, loaded, loaded, 8)) }, (_, age) =>
      createHash(hash)
        .update(numbered(blob, count - 1 - age))
        .digest(),
    );
    const loads = digests.map((digest) => requestFrame('content.load', digest));
    let next = 0;
    await measure('load', () => loads[next++ % loads.length]!);
  }
  client.close();
  await handle.close();
  return figures;
}
