/** Commands that are programs of their own: `flux-NAME` in the folders of FLUX_EXEC_PATH, or a path. */

import fs from 'node:fs';
import path from 'node:path';
import { execute } from './execute.ts';

function isExecutable(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

/** Runs a command that is not part of `flux`, as `known` ones are; resolves to its exit code. */
export async function runExternal(
  name: string,
  args: readonly string[],
  verbose: boolean,
  known: readonly string[],
): Promise<number> {
  const candidates = name.includes('/')
    ? [name]
    : (process.env.FLUX_EXEC_PATH ?? '').split(':').map((folder) => path.join(folder, `flux-${name}`));
  const file = candidates.find((candidate) => {
    if (verbose) console.error(`flux: trying to exec ${candidate}`);
    return isExecutable(candidate);
  });
  if (file === undefined) {
    console.error(`flux: \`${name}' is not a flux command.  See 'flux --help'`);
    suggest(name, known);
    return 1;
  }
  return execute(file, args);
}

function suggest(name: string, known: readonly string[]): void {
  const near = known
    .map((command) => ({ command, distance: editDistance(name, command) }))
    .filter(({ distance }) => distance <= 2)
    .sort((a, b) => a.distance - b.distance);
  const best = near.filter(({ distance }) => distance === near[0]!.distance);
  if (best.length) console.error(`flux: The most similar command${best.length > 1 ? 's are' : ' is'}`);
  for (const { command } of best) console.error(`flux: \t${command}`);
}

/** Letters to insert, delete, replace or swap with a neighbour to get from one word to the other. */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      row[j] = Math.min(row[j - 1]! + 1, rows[i - 1]![j]! + 1, rows[i - 1]![j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        row[j] = Math.min(row[j]!, rows[i - 2]![j - 2]! + 1);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
