/**
 * Tables whose columns the user chooses with a format string: `--format='sort:-pid {pid:>9} ?:{label} +:{cmd}'`.
 *
 * A field may be preceded by `?:`, which leaves the column out when all of it is empty, by `+:`, which makes the column as
 * wide as its widest value, or by `?+:` for both. What is written `?:` elsewhere goes, too, where a field has such a mark.
 */

import { FluxError } from '../core/errno.ts';
import { formatDurationBriefly } from '../core/formats/duration.ts';
import { formatFixed, formatGeneral } from '../core/formats/printf.ts';
import {
  type FieldValue,
  type FormatPiece,
  type FormatSpec,
  formatValue,
  isEmptyOutput,
  parseFormat,
  parseFormatSpec,
  textOf,
} from '../core/formats/python-format.ts';
import { strftime } from '../core/formats/strftime.ts';

/** A field that formats may name. */
export interface Field<T> {
  readonly heading: string;
  readonly value: (item: T) => FieldValue;
  /** What is written where the format says nothing of how: ids are texts then, and numbers else. */
  readonly plain?: (item: T) => string;
}

export type Fields<T> = Readonly<Record<string, Field<T>>>;

interface SortKey {
  readonly name: string;
  readonly reverse: boolean;
}

interface Column<T> {
  /** What stands before it. */
  readonly text: string;
  readonly name: string | undefined;
  readonly field: Field<T> | undefined;
  readonly conversion: string;
  /** How a time is written, in front of `::` in the specification of a `!d`. */
  readonly timeFormat: string;
  readonly spec: FormatSpec;
  readonly omitEmpty: boolean;
  readonly expand: boolean;
}

export interface TableOptions {
  readonly header?: boolean;
  /** Longer lines are cut; undefined: none are. */
  readonly width?: number | undefined;
}

/** The marks in front of a field, the longest first. */
const MARKS = ['?+:', '?:', '+:'];

export class OutputFormat<T> {
  readonly #fields: Fields<T>;
  readonly #columns: readonly Column<T>[];
  #sortKeys: readonly SortKey[] = [];

  /** @throws FluxError EINVAL: what is wrong with the format */
  constructor(format: string, fields: Fields<T>) {
    this.#fields = fields;
    const [prefix = '', keys] = /^sort:([^{\s]+) ?/.exec(format) ?? [];
    if (keys !== undefined) this.sortBy(keys);
    const columns = parseFormat(format.slice(prefix.length)).map((piece) => this.#column(piece));
    const isMarked = columns.some(({ omitEmpty, expand }) => omitEmpty || expand);
    this.#columns = isMarked ? columns.map((column) => ({ ...column, text: withoutMarks(column.text) })) : columns;
  }

  /** The names of the fields that it shows or sorts by. */
  get fieldNames(): readonly string[] {
    const names = this.#columns.flatMap(({ name }) => name ?? []);
    return [...new Set([...names, ...this.#sortKeys.map(({ name }) => name)])];
  }

  /** Sorts by these keys, separated by commas, instead of those of the format; `-` before one turns its order round. */
  sortBy(keys: string): void {
    const names = keys.split(',').map((key) => key.trim());
    this.#sortKeys = names.filter(Boolean).map((key) => {
      const name = key.replace(/^-/, '');
      if (!Object.hasOwn(this.#fields, name)) throw new FluxError('EINVAL', `there is no field '${name}' to sort by`);
      return { name, reverse: key !== name };
    });
  }

  #column({ text, field: name, conversion, spec }: FormatPiece): Column<T> {
    const sentinel = name === undefined ? '' : (/(\?\+:|\?:|\+:)?$/.exec(text)?.[0] ?? '');
    const field = name === undefined ? undefined : fieldFor(this.#field(name), conversion, spec);
    const [timeFormat, timeSpec = ''] = conversion === 'd' ? spec.split('::') : ['', spec];
    return {
      text: text.slice(0, text.length - sentinel.length),
      name: name?.replace(/^0\./, ''),
      field,
      conversion,
      timeFormat: timeFormat ?? '',
      spec: parseFormatSpec(timeSpec),
      omitEmpty: sentinel.startsWith('?'),
      expand: sentinel.endsWith('+:'),
    };
  }

  #field(name: string): Field<T> {
    const plain = name.replace(/^0\./, '');
    if (Object.hasOwn(this.#fields, plain)) return this.#fields[plain]!;
    throw new FluxError(
      'EINVAL',
      `there is no field '${plain}' for the format; there are ${Object.keys(this.#fields).join(', ')}`,
    );
  }

  /** One item by itself: no column is left out or widened. */
  row(item: T): string {
    return this.#columns.map((column) => column.text + cell(column, item)).join('');
  }

  /** The lines of a table of these items, its header first. */
  lines(items: readonly T[], { header = true, width }: TableOptions = {}): string[] {
    const columns = this.#columns.flatMap((column) => adjust(column, items, header));
    const rows = this.#sorted(items).map((item) => columns.map((column) => column.text + cell(column, item)).join(''));
    const head = columns.map(({ text, field, spec }) => text + (field ? headingOf(field.heading, spec) : '')).join('');
    const lines = [...(header ? [head] : []), ...rows.filter((row) => row.trim() !== '')];
    return width ? lines.map((line) => cut(line, width)) : lines;
  }

  #sorted(items: readonly T[]): readonly T[] {
    return this.#sortKeys.toReversed().reduce((list, { name, reverse }) => {
      const { value } = this.#fields[name]!;
      const direction = reverse ? -1 : 1;
      return list.toSorted((a, b) => direction * compare(value(a), value(b)));
    }, items);
  }
}

function fieldFor<T>(field: Field<T>, conversion: string, spec: string): Field<T> {
  const { heading, plain } = field;
  return plain && (conversion === 's' || (conversion === '' && spec === '')) ? { heading, value: plain } : field;
}

function withoutMarks(text: string): string {
  return MARKS.reduce((rest, mark) => rest.replaceAll(mark, ''), text);
}

/** A format without some of its fields; blanks and marks before one go with it. */
export function withoutFields(format: string, names: readonly string[]): string {
  const [sort = ''] = /^sort:[^{\s]+ ?/.exec(format) ?? [];
  const isDropped = ({ field }: FormatPiece) => field !== undefined && names.includes(field.replace(/^0\./, ''));
  const isKept = ({ text }: FormatPiece) => text.trim() !== '' && !MARKS.includes(text.trim());
  return (
    sort +
    parseFormat(format.slice(sort.length))
      .map((piece) => (isDropped(piece) ? (isKept(piece) ? escapeBraces(piece.text) : '') : formatOf(piece)))
      .join('')
  );
}

/** A format of what tells rows apart: without some fields, and nothing cut off where a column may widen. */
export function distinctFormat(format: string, names: readonly string[]): string {
  return parseFormat(withoutFields(format, names).replace(/^sort:[^{\s]+ ?/, ''))
    .map((piece) => formatOf(piece.text.endsWith('+:') ? { ...piece, text: '', spec: '' } : piece))
    .join('');
}

function formatOf({ text, field, conversion, spec }: FormatPiece): string {
  const inner = `${field}${conversion && `!${conversion}`}${spec && `:${spec}`}`;
  return escapeBraces(text) + (field === undefined ? '' : `{${inner}}`);
}

function escapeBraces(text: string): string {
  return text.replace(/[{}]/g, '$&$&');
}

/** The column as wide as it asks to be; none when it is left out. */
function adjust<T>(column: Column<T>, items: readonly T[], header: boolean): Column<T>[] {
  const { field, expand, omitEmpty, spec } = column;
  if (!field || (!expand && !omitEmpty)) return [column];
  const texts = items.map((item) => textOf(convert(column, field.value(item)))).filter((text) => !isEmptyOutput(text));
  const widest = texts.reduce((width, text) => Math.max(width, [...text].length), 0);
  if (omitEmpty && widest === 0) return [];
  if (!expand) return [column];
  const width = Math.max(spec.width ?? 0, header ? field.heading.length : 0, widest);
  return [{ ...column, spec: { ...spec, width, precision: spec.precision && Math.max(spec.precision, width) } }];
}

function cell<T>(column: Column<T>, item: T): string {
  return column.field ? formatValue(convert(column, column.field.value(item)), column.spec) : '';
}

function headingOf(heading: string, { align, width }: FormatSpec): string {
  return formatValue(heading, { ...parseFormatSpec(''), align: align === '=' ? '' : align, width });
}

function cut(line: string, width: number): string {
  const characters = [...line];
  return characters.length > width ? `${characters.slice(0, width - 1).join('')}+` : line;
}

// ---- conversions

function convert<T>({ conversion, timeFormat }: Column<T>, value: FieldValue): FieldValue {
  const seconds = value === '' ? undefined : Number(value);
  switch (conversion) {
    case '':
      return value;
    case 's':
      return textOf(value);
    case 'd':
      return seconds ? strftime(timeFormat || '%FT%T', new Date(seconds * 1000)) : '';
    case 'D':
      return seconds ? strftime('%FT%T', new Date(seconds * 1000)) : '';
    case 'F':
      return seconds === undefined ? '' : formatDurationBriefly(seconds);
    case 'H':
      return seconds === undefined ? '' : clockTime(seconds);
    case 'P':
      return seconds === undefined ? '' : percentage(seconds);
    default:
      throw new FluxError('EINVAL', `there is no conversion '!${conversion}' in formats`);
  }
}

/** A duration as `1 day, 2:03:04`; what is not nothing is at least a second. */
function clockTime(duration: number): string {
  if (!Number.isFinite(duration)) throw new FluxError('EINVAL', "'!H' is for durations that end");
  const seconds = duration > 0 && duration < 1 ? 1 : Math.round(duration);
  const days = Math.floor(seconds / 86400);
  const two = (number: number): string => String(number).padStart(2, '0');
  const clock = `${Math.floor(seconds / 3600) % 24}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return days ? `${days} day${days === 1 ? '' : 's'}, ${clock}` : clock;
}

function percentage(ratio: number): string {
  const percent = ratio * 100;
  return `${percent > 0 && percent < 1 ? formatFixed(percent, 2) : formatGeneral(percent, 3)}%`;
}

// ---- sorting

/** What is unset comes first, then numbers and texts that are numbers, then other texts. */
function compare(a: FieldValue, b: FieldValue): number {
  const [orderA, valueA] = sortValue(a);
  const [orderB, valueB] = sortValue(b);
  if (orderA !== orderB) return orderA - orderB;
  return valueA < valueB ? -1 : valueA > valueB ? 1 : 0;
}

function sortValue(value: FieldValue): [number, number | string] {
  if (value === '' || value === '-') return [0, 0];
  const number = Number(value);
  return Number.isNaN(number) ? [2, String(value)] : [1, number];
}
