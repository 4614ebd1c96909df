/** Numbers of bytes as people write them: `10M`. */

const units = ['', 'K', 'M', 'G', 'T', 'P', 'E'];

/** Reads a number of bytes with an optional unit of 1024; undefined when it is none. */
export function parseSize(text: string): number | undefined {
  const [, digits, unit = ''] = /^\s*(\d+(?:\.\d*)?|\.\d+)\s*([kKMGTPE]?)$/.exec(text) ?? [];
  if (digits === undefined) return undefined;
  const bytes = Number(digits) * 1024 ** units.indexOf(unit.toUpperCase());
  return Math.floor(bytes);
}

/** Writes a number of bytes with the largest unit of which there is one at least. */
export function describeSize(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
  const value = bytes / 1024 ** power;
  return `${Number(value.toPrecision(8))}${units[power]}`;
}
