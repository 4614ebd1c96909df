/** `flux help`: what commands there are, and the manual page of each. */

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { FluxError } from '../core/errno.ts';
import { runCommand, subcommand } from './command.ts';
import { commands } from './commands.ts';

const groups = {
  instance: 'Instances',
  messages: 'Messages and events',
  programs: 'Programs on ranks',
  jobs: 'Jobs',
  tools: 'Tools',
} as const;

const options = [
  ['-p, --parent', 'Talk to the instance that encloses this one; twice: to the one around that.'],
  ['-r, --root', 'Talk to the outermost instance.'],
  ['-v, --verbose', 'Show the environment of commands, and where they are looked for.'],
  ['-V, --version', 'Show versions.'],
  ['-h, --help', 'Show this.'],
] as const;

/** Prints what there is, line by line. */
export function printHelp(print: (line: string) => void): void {
  const names = Object.keys(commands).sort((a, b) => a.localeCompare(b));
  const width = Math.max(...names.map((name) => name.length), ...options.map(([flags]) => flags.length)) + 2;
  print('Usage: flux [OPTIONS] COMMAND [ARGS...]\n');
  print('Starts Flux instances and talks to them: to the one that FLUX_URI names, or that of the system.\n');
  print('Options:');
  for (const [flags, summary] of options) print(`  ${flags.padEnd(width)}${summary}`);
  for (const [group, title] of Object.entries(groups)) {
    const listed = names.filter((name) => commands[name]!.group === group && commands[name]!.summary);
    if (listed.length === 0) continue;
    print(`\n${title}:`);
    for (const name of listed) print(`  ${name.padEnd(width)}${commands[name]!.summary}`);
  }
  print("\n`flux help COMMAND' shows the manual page of a command, `flux COMMAND --help' its options.");
}

/** `flux help [COMMAND]` */
export async function run(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const command = subcommand('help', 'Show what commands there are, or the manual page of one.')
    .argument('[command]', 'which one')
    .action(async (name: string | undefined) => {
      if (name === undefined) printHelp(console.log);
      else exitCode = await help(name.replace(/^flux-/, ''));
    });
  return (await runCommand(command, args)) || exitCode;
}

async function help(name: string): Promise<number> {
  const file = name.includes('/') ? undefined : manualPage(name);
  if (file !== undefined) {
    const text = fs.readFileSync(file, 'utf8');
    // A page may stand for another.
    const [, other] = /^# .*\n\nSee flux-([\w-]+)\(\d\)\.\n$/.exec(text) ?? [];
    if (other !== undefined) return help(other);
    await showManual(text);
    return 0;
  }
  if (Object.hasOwn(commands, name)) return (await commands[name]!.load()).run(['--help']);
  throw new FluxError('ENOENT', `there is no command '${name}'`);
}

/** The page's file. This code runs from a checkout and from bundles in dist/. */
function manualPage(name: string): string | undefined {
  for (let folder = path.dirname(fileURLToPath(import.meta.url)); ; folder = path.dirname(folder)) {
    const file = path.join(folder, 'docs', 'man', name === 'flux' ? 'flux.md' : `flux-${name}.md`);
    if (fs.existsSync(file)) return file;
    if (folder === path.dirname(folder)) return undefined;
  }
}

/** Longer lines are hard to read. */
const WIDTH_MAX = 100;
const WIDTH_DEFAULT = 80;

async function showManual(markdown: string): Promise<void> {
  const [{ layOutManual }, { painter }] = await Promise.all([import('./manual.ts'), import('./terminal.ts')]);
  const width = Math.min(process.stdout.columns ?? WIDTH_DEFAULT, WIDTH_MAX);
  const text = layOutManual(markdown, width, painter());
  if (!(process.stdout.isTTY && process.stdin.isTTY && page(text))) process.stdout.write(text);
}

/** Shows a text by the user's pager; false when there is none. */
function page(text: string): boolean {
  const pager = process.env.MANPAGER || process.env.PAGER || 'less';
  const env = { LESS: 'FRX', ...process.env };
  const { status } = spawnSync('/bin/sh', ['-c', pager], { input: text, env, stdio: ['pipe', 'inherit', 'inherit'] });
  return status === 0;
}
