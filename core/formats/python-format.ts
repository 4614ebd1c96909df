/**
 * Python's format strings, which `--format` options take: `{id:>12} {name:<10.10+} {runtime!F:>8h}`.
 *
 *     [[fill]align][sign][#][0][width][grouping][.precision][type][h][+]
 *
 * The last two are Flux's own: `h` writes a hyphen for what is empty, `+` marks a text that the precision cut off.
 */

import { FluxError } from '../errno.ts';
import { Real } from '../json.ts';
import { formatFixed, formatGeneral } from './printf.ts';

/** An integer that has a text of its own, which shows where a format asks for no layout of numbers: a job id. */
export class NamedInteger {
  readonly value: bigint;
  readonly #name: () => string;

  constructor(value: bigint, name: () => string) {
    this.value = value;
    this.#name = name;
  }

  valueOf(): bigint {
    return this.value;
  }

  toString(): string {
    return this.#name();
  }
}

/** What a field can have; undefined is nothing at all, which is empty in any presentation. */
export type FieldValue = string | number | bigint | boolean | Real | NamedInteger | undefined;

/** A piece of a format: a text, and a field behind it unless the format ends there. */
export interface FormatPiece {
  readonly text: string;
  readonly field: string | undefined;
  /** The letter behind `!`, or nothing. */
  readonly conversion: string;
  readonly spec: string;
}

/**
 * Splits a format string into its pieces; doubled braces stand for themselves.
 *
 * @throws FluxError EINVAL: braces that do not match
 */
export function parseFormat(format: string): FormatPiece[] {
  const pieces: FormatPiece[] = [];
  let text = '';
  const pattern = /\{\{|\}\}|\{([^{}!:]*)(?:!([^{}:]))?(?::([^{}]*))?\}|[{}]|[^{}]+/g;
  for (const [part, field, conversion = '', spec = ''] of format.matchAll(pattern)) {
    if (part === '{{' || part === '}}') text += part[0];
    else if (field !== undefined) {
      pieces.push({ text, field, conversion, spec });
      text = '';
    } else if (part === '{' || part === '}')
      throw new FluxError('EINVAL', `a single '${part}' in the format '${format}'`);
    else text += part;
  }
  if (text) pieces.push({ text, field: undefined, conversion: '', spec: '' });
  return pieces;
}

export interface FormatSpec {
  fill: string;
  align: string;
  sign: string;
  alternate: boolean;
  zero: boolean;
  width: number | undefined;
  grouping: string;
  precision: number | undefined;
  type: string;
  hyphen: boolean;
  marksCut: boolean;
}

const specPattern = /^(?:([\s\S])?([<>=^]))?([- +])?(#)?(0)?(\d+)?([_,])?(?:\.(\d+))?([bcdeEfFgGnosxX%])?(h)?(\+)?$/u;

/** @throws FluxError EINVAL: no such format specification */
export function parseFormatSpec(spec: string): FormatSpec {
  const match = specPattern.exec(spec);
  if (!match) throw new FluxError('EINVAL', `'${spec}' is no format specification`);
  const [, fill, align, sign, alternate, zero, width, grouping, precision, type, hyphen, cut] = match;
  return {
    fill: fill ?? ' ',
    align: align ?? '',
    sign: sign ?? '-',
    alternate: alternate !== undefined,
    zero: zero !== undefined,
    width: width === undefined ? undefined : Number(width),
    grouping: grouping ?? '',
    precision: precision === undefined ? undefined : Number(precision),
    type: type ?? '',
    hyphen: hyphen !== undefined,
    marksCut: cut !== undefined,
  };
}

/** Texts that say nothing: columns of only these can be left out, and `h` writes a hyphen for them. */
export function isEmptyOutput(text: string): boolean {
  return ['', '0s', '0.0', '0:00:00', '1970-01-01T00:00:00'].includes(text);
}

/** A value as Python's str() has it. */
export function textOf(value: FieldValue): string {
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (value === undefined) return '';
  return value instanceof Real || (typeof value === 'number' && !Number.isInteger(value))
    ? realText(Number(value))
    : String(value);
}

/** A value as Python's repr() has it. */
export function reprOf(value: FieldValue): string {
  if (typeof value !== 'string') return textOf(value);
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
  const escapes: Readonly<Record<string, string>> = {
    '\n': '\\n',
    '\r': '\\r',
    '\t': '\\t',
    '\\': '\\\\',
    [quote]: `\\${quote}`,
  };
  return quote + value.replace(/[\n\r\t\\'"]/g, (each) => escapes[each] ?? each) + quote;
}

/** The shortest text that reads back as the same number, with a fraction or an exponent. */
function realText(value: number): string {
  if (!Number.isFinite(value)) return formatFixed(value, 0);
  const size = Math.abs(value);
  const text = size >= 1e16 || (size < 1e-4 && size > 0) ? value.toExponential() : String(value);
  if (!text.includes('e')) return text.includes('.') ? text : `${text}.0`;
  return text.replace(/e([-+])(\d)$/, 'e$10$2');
}

/**
 * Writes a value as a specification says.
 *
 * @throws FluxError EINVAL: a type of presentation that the value does not have
 */
export function formatValue(value: FieldValue, spec: FormatSpec): string {
  const text = textOf(value);
  if (spec.hyphen) return markCut(formatText(isEmptyOutput(text) ? '-' : text, { ...spec, type: 's' }), text, spec);
  if (typeof value === 'string') return markCut(formatText(text, spec), text, spec);
  if (value === undefined) return formatText('', { ...spec, type: '' });
  return markCut(isPlain(spec) ? text : formatNumber(plainNumber(value), spec), text, spec);
}

/** No layout at all: what is no text shows as it does by itself. */
function isPlain({ align, sign, alternate, zero, width, grouping, precision, type }: FormatSpec): boolean {
  const isBare = width === undefined && precision === undefined && !align && !type && !grouping;
  return isBare && sign === '-' && !alternate && !zero;
}

function plainNumber(value: Exclude<FieldValue, string | undefined>): NumberValue {
  if (typeof value === 'boolean') return Number(value);
  return value instanceof NamedInteger ? value.value : value;
}

type NumberValue = number | bigint | Real;

function markCut(result: string, text: string, { marksCut }: FormatSpec): string {
  if (!marksCut || lengthOf(result) >= lengthOf(text)) return result;
  return `${[...result].slice(0, -1).join('')}+`;
}

/** Its length in characters; nearly no text has any that are two units in JavaScript. */
export function lengthOf(text: string): number {
  return /[\ud800-\udbff]/.test(text) ? [...text].length : text.length;
}

function formatText(text: string, spec: FormatSpec): string {
  if (spec.type !== '' && spec.type !== 's')
    throw new FluxError('EINVAL', `format type '${spec.type}' is not for text such as '${text}'`);
  const isLong = spec.precision !== undefined && text.length > spec.precision;
  const kept = isLong ? [...text].slice(0, spec.precision).join('') : text;
  const fill = spec.zero && !spec.align ? '0' : spec.fill;
  return pad(kept, { ...spec, fill }, spec.align || '<');
}

function formatNumber(value: NumberValue, spec: FormatSpec): string {
  const isInteger = typeof value === 'bigint' || Number.isInteger(value);
  const negative = Number(value) < 0;
  const magnitude = typeof value === 'bigint' ? (negative ? -value : value) : Math.abs(Number(value));
  const digits = group(digitsOf(magnitude, isInteger, spec), spec.grouping);
  const sign = negative ? '-' : spec.sign === '-' ? '' : spec.sign;
  if ((spec.zero && !spec.align) || spec.align === '=') {
    const fill = spec.zero && !spec.align ? '0' : spec.fill;
    return sign + digits.padStart((spec.width ?? 0) - sign.length, fill);
  }
  return pad(sign + digits, spec, spec.align || '>');
}

function digitsOf(magnitude: number | bigint, isInteger: boolean, spec: FormatSpec): string {
  const { type, precision, alternate } = spec;
  if (isInteger && precision !== undefined && /^[bcdnoxX]?$/.test(type))
    throw new FluxError('EINVAL', `a precision is not for integers such as ${magnitude}`);
  if (isInteger && (type === '' || type === 'd' || type === 'n')) return String(magnitude);
  const real = Number(magnitude);
  switch (type) {
    case '':
      return precision === undefined ? realText(real) : withFraction(formatGeneral(real, precision || 1));
    case 'f':
    case 'F':
      return formatFixed(real, precision ?? 6);
    case '%':
      return `${formatFixed(real * 100, precision ?? 6)}%`;
    case 'e':
    case 'E':
      return cased(real.toExponential(precision ?? 6).replace(/e([-+])(\d)$/, 'e$10$2'), type);
    case 'g':
    case 'G':
    case 'n':
      return cased(formatGeneral(real, precision === 0 ? 1 : (precision ?? 6)), type);
    default:
      if (!isInteger) throw new FluxError('EINVAL', `format type '${type}' is not for numbers such as ${real}`);
      return integerDigits(magnitude, type, alternate);
  }
}

function integerDigits(magnitude: number | bigint, type: string, alternate: boolean): string {
  switch (type) {
    case 'b':
      return (alternate ? '0b' : '') + magnitude.toString(2);
    case 'o':
      return (alternate ? '0o' : '') + magnitude.toString(8);
    case 'x':
    case 'X':
      return cased((alternate ? '0x' : '') + magnitude.toString(16), type);
    case 'c':
      return String.fromCodePoint(Number(magnitude));
    default:
      throw new FluxError('EINVAL', `format type '${type}' is not for integers such as ${magnitude}`);
  }
}

function withFraction(text: string): string {
  return /[.e]/.test(text) ? text : `${text}.0`;
}

function cased(text: string, type: string): string {
  return type === type.toUpperCase() ? text.toUpperCase() : text;
}

function group(digits: string, separator: string): string {
  return separator ? digits.replace(/^\d+/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, separator)) : digits;
}

function pad(text: string, { fill, width = 0 }: FormatSpec, align: string): string {
  const missing = Math.max(0, width - lengthOf(text));
  const before = align === '>' ? missing : align === '^' ? Math.floor(missing / 2) : 0;
  return fill.repeat(before) + text + fill.repeat(missing - before);
}
