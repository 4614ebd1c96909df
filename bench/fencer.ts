/** A module that takes part in a fence of all ranks when an event says so, and notes when it began and was done. */

import type { ModuleDefinition } from '../core/broker/service.ts';

export interface LastFence {
  /** The fence it was done with last. */
  readonly count: number;
  /** Of the clock that all processes of a machine share, in nanoseconds, as text. */
  readonly start: string;
  readonly end: string;
  /** What went wrong. */
  readonly error?: string;
}

const fencer: ModuleDefinition = {
  start(context) {
    let last: LastFence = { count: 0, start: '0', end: '0' };
    const fence = async (count: number): Promise<void> => {
      const start = String(process.hrtime.bigint());
      const dirent = { ver: 1, type: 'val', data: String(count).padStart(8, '0') };
      const ops = [{ key: `bench.fence.${context.rank}`, flags: 0, dirent }];
      const fields = { name: `bench-${count}`, nprocs: context.size, namespace: 'primary', flags: 0, ops };
      const error = await context.rpc('kvs.fence', fields).then(
        () => undefined,
        (reason: unknown) => String(reason),
      );
      last = { count, start, end: String(process.hrtime.bigint()), ...(error !== undefined && { error }) };
    };
    let count = 0;
    context.subscribe('bench.fence', () => void fence(++count));
    return { methods: { last: { handler: () => ({ ...last }) } } };
  },
};

export default fencer;
