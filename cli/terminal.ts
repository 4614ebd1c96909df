/** Colours, where they are wanted. */

import { type Command, Option } from 'commander';

/** Parameters of the terminal's "select graphic rendition" sequence (ECMA-48). */
const styles = {
  bold: '1',
  red: '31',
  green: '32',
  yellow: '33',
  blue: '34',
  magenta: '35',
  cyan: '36',
  white: '37',
  gray: '90',
  boldRed: '01;31',
  boldGreen: '01;32',
  boldBlue: '01;34',
  reverseRed: '07;31',
} as const;

export type Style = keyof typeof styles;

/** Puts a text in a style, or leaves it as it is. */
export type Painter = (style: Style | undefined, text: string) => string;

const whens = ['always', 'never', 'auto'] as const;
type When = (typeof whens)[number];

/** What `--color[=WHEN]` was given. */
export type ColorOption = When | undefined;

/** Adds `-L, --color[=WHEN]`, or under other names. */
export function colorOption(command: Command, flags = '-L, --color'): Command {
  const summary = 'Use colours: always (when WHEN is left out), never, or auto, on terminals only (the default).';
  return command.addOption(new Option(`${flags} [WHEN]`, summary).choices(whens).preset('always'));
}

/** Whether stdout gets colours; without the option, the terminal and NO_COLOR decide (no-color.org). */
export function isColored(option?: ColorOption): boolean {
  const when = option ?? (process.env.NO_COLOR ? 'never' : 'auto');
  return when === 'always' || (when === 'auto' && process.stdout.isTTY);
}

/** The painter for stdout that an option asks for. */
export function painter(option?: ColorOption): Painter {
  if (!isColored(option)) return (_, text) => text;
  return (style, text) => (style === undefined ? text : `\x1b[${styles[style]}m${text}\x1b[0m`);
}
