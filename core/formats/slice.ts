/** Slices of arrays as Python writes them: `[start:stop:step]`, negative numbers counting from the end. */

import { FluxError } from '../errno.ts';

const pattern = /^\[\s*([-+]?\d+)?:\s*([-+]?\d+)?(?::\s*([-+]?\d+)?)?\]$/;

/**
 * The positions that a slice takes of an array, in the slice's order.
 *
 * @throws FluxError EINVAL: it is no slice, or one whose step is 0
 */
export function slicePositions(text: string, length: number): number[] {
  const [match, first, end, by] = pattern.exec(text) ?? [];
  const step = by === undefined ? 1 : Number(by);
  if (match === undefined || step === 0) throw new FluxError('EINVAL', 'could not parse python-style slice expression');
  const fromEnd = (digits: string, low: number, high: number) => {
    const position = Number(digits);
    return Math.min(Math.max(position < 0 ? length + position : position, low), high);
  };
  const positions: number[] = [];
  if (step > 0) {
    const stop = end === undefined ? length : fromEnd(end, 0, length);
    for (let i = first === undefined ? 0 : fromEnd(first, 0, length); i < stop; i += step) positions.push(i);
  } else {
    const stop = end === undefined ? -1 : fromEnd(end, -1, length - 1);
    const start = first === undefined ? length - 1 : fromEnd(first, -1, length - 1);
    for (let i = start; i > stop; i += step) positions.push(i);
  }
  return positions;
}
