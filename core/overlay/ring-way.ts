/**
 * The debug ring of an instance: each of its processes is linked to the one with the next index, and the last to the first.
 * So any is reached by two ways, of which the tree knows nothing.
 */

/** Round by growing indices, or by falling ones. */
export type Heading = 'next' | 'previous';

/** How a frame travels round. */
export interface Way {
  readonly heading: Heading;
  /** The process that turned it round because there was no way on; undefined while none has. */
  readonly turnedAt?: number | undefined;
}

export function opposite(heading: Heading): Heading {
  return heading === 'next' ? 'previous' : 'next';
}

/** The process beside another one, of `count`. */
export function beside(node: number, heading: Heading, count: number): number {
  return (node + (heading === 'next' ? 1 : count - 1)) % count;
}

/** The way that passes fewer processes. */
export function shorterWay(from: number, to: number, count: number): Way {
  return { heading: (to - from + count) % count <= count / 2 ? 'next' : 'previous' };
}

/** The processes that a frame came by, both ends included; `way` as it was at the end. */
export function passedBy(from: number, to: number, { heading, turnedAt }: Way, count: number): number[] {
  const passed = [from];
  let node = from;
  const walk = (end: number, heading: Heading) => {
    for (let left = count; node !== end && left > 0; left--) {
      node = beside(node, heading, count);
      passed.push(node);
    }
  };
  if (turnedAt !== undefined) walk(turnedAt, opposite(heading));
  walk(to, heading);
  return passed;
}

/**
 * What keeps a frame from its goal.
 *
 * @param way the frame's at its end
 * @param at the process that did not get it any further
 */
export function cutText({ heading, turnedAt }: Way, at: number, count: number): string {
  const missed = beside(at, heading, count);
  if (turnedAt === undefined) return `process ${at} lost process ${missed} while the request was on its way`;
  const missedFirst = beside(turnedAt, opposite(heading), count);
  if (turnedAt === at)
    return missed === missedFirst
      ? `process ${at} does not reach process ${missed}`
      : `process ${at} reaches neither process ${Math.min(missed, missedFirst)} nor process ${Math.max(missed, missedFirst)}`;
  if (missed === missedFirst)
    return `neither process ${Math.min(turnedAt, at)} nor process ${Math.max(turnedAt, at)} reaches process ${missed}`;
  return `process ${turnedAt} does not reach process ${missedFirst}, and process ${at} not process ${missed}`;
}
