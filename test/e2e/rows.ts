/** Tables of command lines, and what they do. */

import assert from 'node:assert/strict';
import type { Instance, RunOptions } from './instance.ts';

/** One row: words behind `flux`. What is not said of stdout or stderr must be empty. */
export interface Row {
  readonly args: readonly string[];
  readonly stdout?: string | RegExp;
  readonly stderr?: RegExp;
  /** 0 when absent. */
  readonly exit?: number | NodeJS.Signals;
  readonly options?: RunOptions;
}

/** Runs the rows one after another, and compares. */
export async function checkRows(instance: Instance, rows: readonly Row[]): Promise<void> {
  for (const { args, stdout = '', stderr, exit = 0, options } of rows) {
    const outcome = await instance.flux(args, options);
    const line = `flux ${args.join(' ')}: ${JSON.stringify(outcome)}`;
    assert.equal(outcome.exit, exit, line);
    if (typeof stdout === 'string') assert.equal(outcome.stdout, stdout, line);
    else assert.match(outcome.stdout, stdout, line);
    if (stderr) assert.match(outcome.stderr, stderr, line);
    else assert.equal(outcome.stderr, '', line);
    assert.doesNotMatch(outcome.stderr, /^\s+at .*\d:\d+\)?$/m, `${line}: a stack`);
  }
}
