/** Copying into and out of shared memory. */

/** From so many bytes on it is worth a view. */
const LARGE = 2048;

/** Copies `source[start … end)` to `offset` of `target`. */
export function copyBytes(source: Buffer, start: number, end: number, target: Buffer, offset: number): void {
  // V8 copies shared memory word by word, where Node fills a buffer with another at the speed of memory.
  if (end - start >= LARGE) target.fill(source.subarray(start, end), offset, offset + end - start);
  else source.copy(target, offset, start, end);
}
