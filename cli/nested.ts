/** Commands that have commands of their own: `flux event pub`. */

import type { Command } from 'commander';
import { runCommand, subcommand } from './command.ts';
import { print } from './print.ts';

export interface NestedCommand {
  /** One line for the list of commands; it begins the help of this one, too. */
  readonly summary: string;
  /** Left out of the list of commands: for scripts. */
  readonly hidden?: boolean;
  /** Gives it its arguments, its options and its action. */
  readonly define: (command: Command) => Command;
}

/**
 * Runs `flux NAME COMMAND …`; without a command, or with one that is not there, says which there are.
 *
 * @param usageError its exit code when the command line is wrong
 * @returns the exit code
 */
export function runNested(
  name: string,
  description: string,
  commands: Readonly<Record<string, NestedCommand>>,
  args: readonly string[],
  usageError = 1,
): Promise<number> {
  const [word, ...rest] = args;
  if (word !== undefined && Object.hasOwn(commands, word)) {
    const { summary, define } = commands[word]!;
    return runCommand(define(subcommand(`${name} ${word}`, `${summary}.`)), rest, usageError);
  }
  const help = () => listCommands(name, description, commands);
  if (word === '-h' || word === '--help') print(help());
  else if (word === undefined) console.error(help());
  else {
    const what = word.startsWith('-') ? `unrecognized option '${word}'` : `there is no command '${word}'`;
    console.error(`flux-${name}: ${what}\nTry \`flux ${name} --help' for more information.`);
  }
  return Promise.resolve(word === '-h' || word === '--help' ? 0 : usageError);
}

function listCommands(name: string, description: string, commands: Readonly<Record<string, NestedCommand>>): string {
  const shown = Object.entries(commands).filter(([, { hidden }]) => !hidden);
  const width = Math.max(...shown.map(([word]) => word.length)) + 2;
  const lines = shown.map(([word, { summary }]) => `  ${word.padEnd(width)}${summary}`);
  return [
    `Usage: flux ${name} COMMAND [OPTIONS] ...`,
    '',
    description,
    '',
    'Commands:',
    ...lines,
    '',
    `\`flux ${name} COMMAND --help' tells more about one.`,
  ].join('\n');
}
