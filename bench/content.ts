/** Blobs to and from the content service of rank 0, through its cache. */

import { createHash } from 'node:crypto';
import { Handle } from '../core/handle/handle.ts';
import { type Figure, figure } from './figure.ts';
import { rates, roundTime } from './rate.ts';
import { type Scale, scaled } from './scale.ts';
import { requestFrame, WireClient } from './wire-client.ts';

interface BlobSize {
  readonly name: string;
  readonly bytes: number;
  /** How many different blobs are loaded in turn. */
  readonly loaded: number;
  readonly window: number;
  /** The part of a round that it is stored for, so that the store does not fill the disk. */
  readonly time: number;
  readonly unit: string;
  /** What a blob counts in that unit. */
  readonly worth: number;
}

const sizes: readonly BlobSize[] = [
  { name: '256', bytes: 256, loaded: 1024, window: 256, time: 1, unit: 'blobs/s', worth: 1 },
  { name: '1048576', bytes: 2 ** 20, loaded: 16, window: 4, time: 0.2, unit: 'MB/s', worth: 2 ** 20 / 1e6 },
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
  const milliseconds = roundTime(scale);
  const figures: Figure[] = [];
  for (const { name, bytes, loaded, window, time, unit, worth } of sizes) {
    const measure = async (what: string, next: () => Buffer) => {
      // What was stored before is not to be written meanwhile.
      await handle.rpc('content.flush');
      const samples = (await rates([client], window, next, milliseconds * time)).map((rate) => rate * worth);
      figures.push(figure(`content.${what}-${name}`, unit, 'more', samples));
    };
    const blob = Buffer.alloc(bytes, 'content');
    const store = requestFrame('content.store', blob);
    const at = store.indexOf(blob);
    let count = 0;
    await measure('store', () => {
      store.writeUInt32BE(count++, at);
      return store;
    });
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
