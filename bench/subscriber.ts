/** A module that notes when an event reaches its rank. */

import type { ModuleDefinition } from '../core/broker/service.ts';

export interface LastEvent {
  readonly count: number;
  /** Of the clock that all processes of a machine share, in nanoseconds, as text. */
  readonly time: string;
}

const subscriber: ModuleDefinition = {
  start(context) {
    let count = 0;
    let time = 0n;
    context.subscribe('bench', () => {
      count++;
      time = process.hrtime.bigint();
    });
    return { methods: { last: { handler: () => ({ count, time: String(time) }) } } };
  },
};

export default subscriber;
