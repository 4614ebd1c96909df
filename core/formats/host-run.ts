/**
 * Runs of hosts, what a hostlist is made of: a prefix with consecutive numbers of one zero-padded width.
 *
 * Invariant: a number belongs to a run only if the run spells it as the host's name does, so `node[8-10]` holds node9
 * and not node09.
 */

/**
 * Hosts prefix + first … prefix + last, the numbers zero-padded to `width`.
 * Width 0: one host without a number at its end, its whole name in `prefix`.
 */
export interface Run {
  readonly prefix: string;
  readonly first: number;
  readonly last: number;
  readonly width: number;
}

/** How many hosts the run has. */
export function hostCount(run: Run): number {
  return run.last - run.first + 1;
}

/** The name of the host at an offset, 0 to hostCount - 1, within the run. */
export function nameIn(run: Run, offset: number): string {
  return run.width ? run.prefix + padded(run.first + offset, run.width) : run.prefix;
}

/** A number with as many leading zeros as fill `width` digits. */
export function padded(number: number | bigint, width: number): string {
  return String(number).padStart(width, '0');
}

/** The run's numbers as they stand in brackets, `08-10`; empty for a host without a number. */
export function numbersOf({ first, last, width }: Run): string {
  if (!width) return '';
  return first === last ? padded(first, width) : `${padded(first, width)}-${padded(last, width)}`;
}

/** The offset within the run of the host of this name, or undefined when the run lacks it. */
export function offsetIn(run: Run, name: string): number | undefined {
  if (!run.width) return name === run.prefix ? 0 : undefined;
  if (!name.startsWith(run.prefix)) return undefined;
  const number = Number(name.slice(run.prefix.length));
  const within = Number.isInteger(number) && number >= run.first && number <= run.last;
  return within && name === nameIn(run, number - run.first) ? number - run.first : undefined;
}

/** The run of one host. A number that a double cannot hold exactly stays part of the name: nobody counts hosts there. */
export function runOfName(name: string): Run {
  let end = name.length;
  while (end > 0 && isDigit(name.charCodeAt(end - 1))) end--;
  const number = Number(name.slice(end));
  if (end === name.length || !Number.isSafeInteger(number)) return { prefix: name, first: 0, last: 0, width: 0 };
  return { prefix: name.slice(0, end), first: number, last: number, width: name.length - end };
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

/** Adds a run behind the others, growing the last one when it goes on from there. */
export function appendRun(runs: Run[], run: Run): void {
  const before = runs.at(-1);
  if (before?.width && run.width && before.last === run.first - 1) {
    const width = commonWidth(before, run);
    if (width !== undefined) {
      runs[runs.length - 1] = { prefix: before.prefix, first: before.first, last: run.last, width };
      return;
    }
  }
  runs.push(run);
}

/**
 * The width at which the hosts of both runs, of which `a` is not behind `b`, keep their spelling: `[9]` and `[10]` have
 * one, `[9]` and `[010]` have none. Undefined also when the prefixes differ or only one run is numbered.
 */
export function commonWidth(a: Run, b: Run): number | undefined {
  if (a.prefix !== b.prefix || !a.width !== !b.width) return undefined;
  if (spelledLength(a.first, a.width) === spelledLength(a.first, b.width)) return b.width;
  if (spelledLength(b.first, a.width) === spelledLength(b.first, b.width)) return a.width;
  return undefined;
}

function spelledLength(number: number, width: number): number {
  return Math.max(width, String(number).length);
}

/** Prefix, names without a number first, then the spelling of the first number: shorter before longer. */
export function compareRuns(a: Run, b: Run): number {
  if (a.prefix !== b.prefix) return a.prefix < b.prefix ? -1 : 1;
  if (!a.width || !b.width) return Number(a.width > 0) - Number(b.width > 0);
  return spelledLength(a.first, a.width) - spelledLength(b.first, b.width) || a.first - b.first;
}

/** The pieces left of a run when each doomed name has gone as often as `doomed` says, which is counted down. */
export function runWithout(run: Run, doomed: Map<string, number>): Run[] {
  const pieces: Run[] = [];
  let first = run.first;
  for (let number = run.first; number <= run.last; number++) {
    const name = nameIn(run, number - run.first);
    const times = doomed.get(name) ?? 0;
    if (!times) continue;
    doomed.set(name, times - 1);
    if (first < number) pieces.push({ ...run, first, last: number - 1 });
    first = number + 1;
  }
  if (first <= run.last) pieces.push({ ...run, first });
  return pieces;
}
