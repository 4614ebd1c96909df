/**
 * Endpoints: where a record in a ring comes from and goes to. The upper byte is the thread, the rest is that thread's
 * own numbering; index 0 of each thread is the thread itself.
 */

const INDEX_MAX = 0xffffff;

export function endpoint(thread: number, index: number): number {
  return ((thread << 24) | index) >>> 0;
}

export function threadOf(address: number): number {
  return address >>> 24;
}

export function indexOf(address: number): number {
  return address & INDEX_MAX;
}
