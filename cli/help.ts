import { commands } from './commands.ts';

const groups = {
  instance: 'Instances',
  messages: 'Messages and events',
  programs: 'Programs on ranks',
  tools: 'Tools',
} as const;

/** Prints what there is, line by line. */
export function printHelp(print: (line: string) => void): void {
  print('Usage: flux [OPTIONS] COMMAND ARGS');
  print('  -h, --help             Display this message.');
  print('  -p, --parent           Set environment of parent instance');
  print('      --root             Set environment of root instance');
  print('  -v, --verbose          Be verbose about environment and command search');
  print('  -V, --version          Display command and component versions');
  const width = Math.max(...Object.keys(commands).map((name) => name.length)) + 2;
  for (const [group, title] of Object.entries(groups)) {
    const entries = Object.entries(commands).filter(([, entry]) => entry.group === group && entry.summary);
    if (entries.length === 0) continue;
    print(`\n${title}:`);
    for (const [name, { summary }] of entries) print(`  ${name.padEnd(width)}${summary}`);
  }
}
