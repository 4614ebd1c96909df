/**
 * Values that grow: each append adds a blob to a `valref`. So that an event log of a million lines is no list of a million
 * blobs, those at the end are joined when there are many of about the same size; what is joined is joined again when it
 * has gathered its like. A value of n appends so has some 32 blobs of each size, and each byte is written log(n) times.
 */

/** How many blobs of a size there may be; a list of fewer is as flux-core has it. */
const BLOBS_MAX = 32;
/** Sizes are of one class up to a factor of 2^5. */
const CLASS_BITS = 5;
/** Blobs from this size on stay as they are. */
const LARGE_BYTES = 2 ** 20;
/** Nobody makes longer lists here; of those from elsewhere only the end is looked at. */
const LOOKED_AT_MAX = 1024;

/**
 * Which blobs of a value are to be one.
 *
 * @param count how many blobs there are
 * @param sizeOf bytes of one of them; undefined where that is not known
 * @returns the first of those at the end that are to be joined, `count` when none are; undefined when a size was not
 *   known: those of the BLOBS_MAX blobs before it have then been asked for, too
 */
export function findJoinable(count: number, sizeOf: (index: number) => number | undefined): number | undefined {
  let first = count;
  let run = { blobs: 0, bytes: 0, sizeClass: 0 };
  const end = Math.max(0, count - LOOKED_AT_MAX);
  for (let index = count - 1; ; index--) {
    const size = index < end ? LARGE_BYTES : sizeOf(index);
    if (size === undefined) {
      askForMore(index, sizeOf);
      return undefined;
    }
    const sizeClass = classOf(size);
    if (run.blobs === 0) run.sizeClass = Math.min(sizeClass, classOf(LARGE_BYTES) - 1);
    if (sizeClass > run.sizeClass && run.blobs >= BLOBS_MAX) {
      first = index + 1;
      run = { blobs: 1, bytes: run.bytes, sizeClass: classOf(run.bytes) };
    }
    if (sizeClass > run.sizeClass || size >= LARGE_BYTES) return first;
    run.blobs++;
    run.bytes += size;
  }
}

function askForMore(index: number, sizeOf: (index: number) => number | undefined): void {
  for (let i = index - 1; i >= Math.max(0, index - BLOBS_MAX); i--) sizeOf(i);
}

function classOf(size: number): number {
  return Math.floor(Math.log2(size + 1) / CLASS_BITS);
}
