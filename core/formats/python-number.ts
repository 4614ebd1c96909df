/** Numbers as Python's float() and int() read them: blanks around them and underscores between digits are passed over. */

const DIGITS = '[0-9]+(?:_[0-9]+)*';
const floatPattern = new RegExp(`^[+-]?(?:(?:${DIGITS}\\.?(?:${DIGITS})?|\\.${DIGITS})(?:e[+-]?${DIGITS})?)$`, 'i');
const intPattern = new RegExp(`^[+-]?${DIGITS}$`);

/** What float() makes of a text: a number, an infinity or NaN; undefined where it raises an error. */
export function parsePythonFloat(text: string): number | undefined {
  const word = text.trim();
  if (floatPattern.test(word)) return Number(word.replaceAll('_', ''));
  const [, sign, name] = /^([+-]?)(inf|infinity|nan)$/i.exec(word) ?? [];
  if (name === undefined) return undefined;
  if (name.toLowerCase() === 'nan') return NaN;
  return sign === '-' ? -Infinity : Infinity;
}

/** What int() makes of a text; undefined where it raises an error, and for what is beyond 2^53. */
export function parsePythonInt(text: string): number | undefined {
  const word = text.trim();
  if (!intPattern.test(word)) return undefined;
  const number = Number(word.replaceAll('_', ''));
  return Number.isSafeInteger(number) ? number || 0 : undefined;
}
