/**
 * Lines of the PMI-1 wire protocol (RFC 13): `cmd=put kvsname=a key=b value=c d`, one request or response each.
 *
 * What stands behind `value=` and `error_msg=` goes on to the end of the line, so these come last.
 */

import { FluxError } from '../errno.ts';

/** Fields by name; `cmd` is always among them. */
export type PmiFields = Readonly<Record<string, string>> & { readonly cmd: string };

/** Bytes that a name of a key-value space, a key and a value may have, a terminating NUL included. */
export const pmiMaxes = { kvsname: 64, key: 64, value: 1024 } as const;

/** The longest line that is taken for one. */
export const PMI_LINE_MAX = 64 + 64 + 1024 + 256;

/**
 * A line with its newline.
 *
 * @throws FluxError EINVAL: a value that has a newline, or, where more fields follow, a space
 */
export function encodePmi(fields: PmiFields): string {
  const entries = Object.entries(fields);
  for (const [index, [name, value]] of entries.entries())
    if (value.includes('\n') || (index < entries.length - 1 && /\s/.test(value)))
      throw new FluxError('EINVAL', `PMI cannot say ${name}=${JSON.stringify(value)}`);
  return `${entries.map(([name, value]) => `${name}=${value}`).join(' ')}\n`;
}

/**
 * Reads a line without its newline.
 *
 * @throws FluxError EPROTO: it is none
 */
export function decodePmi(line: string): PmiFields {
  const fields: Record<string, string> = Object.create(null);
  let rest = line;
  while (rest !== '') {
    const [word = '', name, value = ''] = /^(\w+)=((?<=(?:value|error_msg)=).*|\S*)\s*/s.exec(rest) ?? [];
    if (name === undefined) throw new FluxError('EPROTO', `'${line}' is no line of PMI`);
    fields[name] = value;
    rest = rest.slice(word.length);
  }
  if (fields.cmd === undefined) throw new FluxError('EPROTO', `'${line}' is no line of PMI`);
  return fields as PmiFields;
}

/** Cuts what comes into lines. */
export class PmiLines {
  #rest = '';

  /**
   * The lines that are complete with some more text.
   *
   * @throws FluxError EPROTO: a line is too long
   */
  take(text: string): string[] {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop()!;
    if (this.#rest.length > PMI_LINE_MAX) throw new FluxError('EPROTO', 'a line of PMI is too long');
    return lines;
  }
}
