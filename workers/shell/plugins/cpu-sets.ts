/** Which processors, or GPUs, each task of a node gets. */

import { FluxError } from '../../../core/errno.ts';
import { IdSet } from '../../../core/formats/idset.ts';

/** No machine has more of either. */
const ID_LIMIT = 1 << 16;

/**
 * The sets of a map, `SET;SET;…`, for the tasks in their order; they begin again when there are fewer sets than tasks.
 *
 * A set is a list (`0-3,7`), a bit mask as taskset(1) has it (`0x8f`), or one as hwloc has it, in words of 32 bits
 * (`0x1,0xffffffff`).
 *
 * @throws FluxError EINVAL: no set at all, or one that is empty or malformed
 */
export function parseSetMap(map: string, taskCount: number): readonly IdSet[] {
  const texts = map.split(';').filter((text) => text !== '');
  if (!texts.length) throw new FluxError('EINVAL', `no cpusets found in affinity list ${map}`);
  const sets = texts.slice(0, taskCount).map(parseSet);
  return Array.from({ length: taskCount }, (_, index) => sets[index % sets.length]!);
}

function parseSet(text: string): IdSet {
  const set = text.startsWith('0x') ? parseMask(text) : parseList(text);
  if (!set?.count) throw new FluxError('EINVAL', `cpuset ${text} contains no cores or is invalid`);
  return set;
}

function parseList(text: string): IdSet | undefined {
  if (!/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(text)) return undefined;
  const ranges = text.split(',').map((range): [number, number] => {
    const [first, last = first] = range.split('-').map(Number);
    return [first!, last!];
  });
  if (ranges.some(([, last]) => last >= ID_LIMIT)) return undefined;
  return IdSet.ofRanges(ranges.filter(([first, last]) => first <= last));
}

function parseMask(text: string): IdSet | undefined {
  const words = text.split(',');
  if (!words.every((word) => /^(0x)?[0-9a-f]+$/i.test(word))) return undefined;
  const digits = words.map((word) => word.replace(/^0x/i, ''));
  const isWide = digits.length > 1 && digits.some((word) => word.length > 8);
  const all = digits.map((word, index) => (index ? word.padStart(8, '0') : word)).join('');
  if (isWide || all.length > ID_LIMIT / 4) return undefined;
  const ids: number[] = [];
  for (let nibble = 0; nibble < all.length; nibble++) {
    const value = Number.parseInt(all[all.length - 1 - nibble]!, 16);
    for (let bit = 0; bit < 4; bit++) if (value & (1 << bit)) ids.push(4 * nibble + bit);
  }
  return IdSet.from(ids);
}

/**
 * Divides cores among tasks so that each has about as many processors and none lies idle; tasks share a core when there
 * are more of them. That is what hwloc_distrib(3) does with cores.
 *
 * @param cores the processors of each core
 */
export function distribute(cores: readonly (readonly number[])[], taskCount: number): readonly IdSet[] {
  const total = cores.reduce((sum, cpus) => sum + cpus.length, 0);
  const sets: IdSet[] = [];
  let given = 0;
  for (const cpus of cores) {
    const set = IdSet.from(cpus);
    given += cpus.length;
    const share = Math.ceil((given * taskCount) / total) - sets.length;
    if (share > 0) for (let task = 0; task < share; task++) sets.push(set);
    else sets.push(sets.pop()!.union(set));
  }
  return sets;
}
