/** `flux doctor`: says in plain words what an instance finds here, what a launcher offers, and what is wrong. */

import { stringifyJson } from '../core/json.ts';
import { duration, runCommand, subcommand } from './command.ts';
import type { Finding } from './doctor-finding.ts';
import { examineLaunch } from './doctor-launch.ts';
import { examineMachine } from './doctor-machine.ts';
import { print } from './print.ts';
import { type ColorOption, colorOption, type Painter, painter, type Style } from './terminal.ts';

interface Options {
  json?: boolean;
  timeout: number;
  color?: ColorOption;
}

const DEFAULT_TIMEOUT = 10;

/** `flux doctor [OPTIONS]` */
export async function run(args: readonly string[]): Promise<number> {
  let isWell = true;
  const command = colorOption(
    subcommand('doctor', 'Say what an instance would find here, what a launcher offers, and what is wrong.')
      .option(
        '-t, --timeout <FSD>',
        'Wait so long for others: an instance, processes of the same launcher.',
        duration,
        DEFAULT_TIMEOUT,
      )
      .option('--json', 'Print a JSON object for each finding.'),
  ).action(async (options: Options) => {
    isWell = await examine(options);
  });
  const exitCode = (await runCommand(command, args)) || Number(!isWell);
  // What was waited for in vain may still be waited for, and nothing else ends that.
  if (exitCode) process.exit(exitCode);
  return exitCode;
}

/** Resolves to whether nothing is wrong. */
async function examine({ json, timeout, color }: Options): Promise<boolean> {
  const machine = await examineMachine(timeout);
  const { rank, size, findings } = await examineLaunch(timeout);
  const all = [...machine, ...findings];
  const isWell = all.every(({ verdict }) => verdict !== 'wrong');
  // One process speaks for all that are as it is.
  const told = rank === 0 ? all : all.filter(({ verdict }) => verdict === 'wrong');
  const paint = painter(color);
  const label = size > 1 ? `${rank}: `.padStart(String(size - 1).length + 2) : '';
  for (const finding of told) print(json ? stringifyJson({ rank, ...finding }) : label + format(finding, paint));
  return isWell;
}

const styles: Readonly<Record<Finding['verdict'], Style>> = { ok: 'green', note: 'yellow', wrong: 'red' };

function format({ verdict, text }: Finding, paint: Painter): string {
  return `${paint(styles[verdict], verdict.padEnd(5))}  ${text}`;
}
