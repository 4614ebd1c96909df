/** A module that enters a fence or a barrier of all ranks when an event says so, and notes when it began and was done. */

import type { ModuleDefinition } from '../core/broker/service.ts';
import type { JsonObject } from '../core/json.ts';

export interface LastMeeting {
  /** The one it was done with last. */
  readonly count: number;
  /** Of the clock that all processes of a machine share, in nanoseconds, as text. */
  readonly start: string;
  readonly end: string;
  /** What went wrong. */
  readonly error?: string;
}

const meeter: ModuleDefinition = {
  start(context) {
    let last: LastMeeting = { count: 0, start: '0', end: '0' };
    let count = 0;
    const meet = async (topic: string, number: number, fields: JsonObject): Promise<void> => {
      const start = String(process.hrtime.bigint());
      const error = await context.rpc(topic, { name: `bench-${number}`, nprocs: context.size, ...fields }).then(
        () => undefined,
        (reason: unknown) => String(reason),
      );
      last = { count: number, start, end: String(process.hrtime.bigint()), ...(error !== undefined && { error }) };
    };
    context.subscribe('bench.fence', () => {
      const dirent = { ver: 1, type: 'val', data: String(++count).padStart(8, '0') };
      const ops = [{ key: `bench.fence.${context.rank}`, flags: 0, dirent }];
      void meet('kvs.fence', count, { namespace: 'primary', flags: 0, ops });
    });
    context.subscribe('bench.barrier', () => void meet('barrier.enter', ++count, { count: 1 }));
    return { methods: { last: { handler: () => ({ ...last }) } } };
  },
};

export default meeter;
