/** The subcommands: what `flux help` says of each, and where it is. */

export interface Subcommand {
  /** Runs it with the words behind its name; resolves to the exit code. */
  run(args: readonly string[]): Promise<number>;
}

export interface CommandEntry {
  /** One line for `flux help`; those without are not listed there. */
  readonly summary?: string;
  readonly group: 'instance' | 'messages' | 'programs' | 'tools';
  readonly load: () => Promise<Subcommand>;
}

export const commands: Readonly<Record<string, CommandEntry>> = {
  start: {
    group: 'instance',
    summary: 'Start a Flux instance and run a program in it',
    load: () => import('./start.ts'),
  },
  getattr: { group: 'instance', summary: 'Show a broker attribute', load: () => import('./getattr.ts') },
  setattr: { group: 'instance', summary: 'Set a broker attribute', load: () => import('./setattr.ts') },
  lsattr: { group: 'instance', summary: 'List broker attributes', load: () => import('./lsattr.ts') },
};
