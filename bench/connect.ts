/** Clients that come, ask one thing and go, as short commands do. */

import { type Figure, figure } from './figure.ts';
import { requestFrame, WireClient } from './wire-client.ts';

const frame = requestFrame('attr.get', { name: 'size' });

/** Eight at a time. */
export async function connectRate(uri: string, count: number): Promise<Figure[]> {
  const rates: number[] = [];
  for (let round = 0; round < 6; round++) {
    let left = count;
    const start = performance.now();
    const lane = async () => {
      while (left-- > 0) {
        const client = await WireClient.connect(uri);
        const answer = client.next();
        client.send(frame);
        await answer;
        client.close();
      }
    };
    await Promise.all(Array.from({ length: 8 }, lane));
    if (round) rates.push(count / ((performance.now() - start) / 1000));
  }
  return [figure('connect.rate', 'clients/s', 'more', rates)];
}
