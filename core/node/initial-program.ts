/** What rank 0 runs while the instance does: the user's command, a shell for it, or a shell for the user. */

import fs from 'node:fs';
import path from 'node:path';
import type { RcCommand } from '../broker/rc.ts';
import { FluxError } from '../errno.ts';

/** Names of shells a person types into; those of the system's list are added. */
function knownShells(): Set<string> {
  let listed: string[] = [];
  try {
    listed = fs
      .readFileSync('/etc/shells', 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('/'));
  } catch {
    // Not every system has a list.
  }
  return new Set([
    ...listed,
    ...listed.map((shell) => path.basename(shell)),
    'sh',
    'bash',
    'zsh',
    'csh',
    'tcsh',
    'dash',
    '/bin/sh',
    '/bin/bash',
  ]);
}

function isExecutableFile(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK | fs.constants.R_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

/**
 * The initial program of a command line.
 *
 * One word may be a shell to type into or a file to run; otherwise it is a command line for a shell. More words are a
 * program and its arguments.
 *
 * @param isTerminal whether stdin is one
 * @param sameGroup whether the program stays in the broker's process group
 * @throws FluxError EINVAL: a shell to type into is wanted, and there is nobody to type
 */
export function initialProgram(
  command: readonly string[],
  shell: string,
  isTerminal: boolean,
  sameGroup: boolean,
): RcCommand {
  const [first = shell] = command;
  if (command.length === 0 || (command.length === 1 && knownShells().has(first))) {
    if (!isTerminal) throw new FluxError('EINVAL', "stdin is not a tty - can't run interactive shell");
    return { argv: [first], passThrough: true, interactive: true, sameGroup: true };
  }
  if (command.length > 1 || (!/\s/.test(first) && isExecutableFile(first)))
    return { argv: command, passThrough: true, sameGroup };
  return { argv: [shell, '-c', first], passThrough: true, sameGroup, text: first };
}

/** Whether this process leads its process group, as one does that a shell has started as a job. */
export function leadsProcessGroup(): boolean {
  try {
    const stat = fs.readFileSync('/proc/self/stat', 'utf8');
    // Behind the name in parentheses: state, parent, process group.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]) === process.pid;
  } catch {
    return false;
  }
}
