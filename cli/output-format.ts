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
  lengthOf,
  parseFormat,
  parseFormatSpec,
  reprOf,
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

/** Finds fields that no table can list, by their names. */
export type FieldFinder<T> = (name: string) => Field<T> | undefined;

/** An item with its line. */
export interface Row<T> {
  readonly item: T;
  readonly line: string;
}

interface SortKey<T> {
  readonly name: string;
  readonly field: Field<T>;
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
  readonly #find: FieldFinder<T>;
  #columns: readonly Column<T>[];
  #sortKeys: readonly SortKey<T>[] = [];

  /**
   * @param find finds what is not among `fields`
   * @throws FluxError EINVAL: what is wrong with the format
   */
  constructor(format: string, fields: Fields<T>, find: FieldFinder<T> = () => undefined) {
    this.#fields = fields;
    this.#find = find;
    const [prefix = '', keys] = /^sort:([^{\s]+) ?/.exec(format) ?? [];
    const columns = parseFormat(format.slice(prefix.length)).map((piece) => this.#column(piece));
    const isMarked = columns.some(({ omitEmpty, expand }) => omitEmpty || expand);
    this.#columns = isMarked ? columns.map((column) => ({ ...column, text: withoutMarks(column.text) })) : columns;
    if (keys !== undefined) this.sortBy(keys);
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
      const field = this.#sortField(name);
      if (!field) throw new FluxError('EINVAL', `there is no field '${name}' to sort by`);
      return { name, field, reverse: key !== name };
    });
  }

  /** Of the fields that no table lists only those that the format shows: of others nobody could see the order. */
  #sortField(name: string): Field<T> | undefined {
    if (Object.hasOwn(this.#fields, name)) return this.#fields[name];
    return this.#columns.find((column) => column.name === name)?.field;
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
    const field = Object.hasOwn(this.#fields, plain) ? this.#fields[plain] : this.#find(plain);
    if (field) return field;
    throw new FluxError(
      'EINVAL',
      `there is no field '${plain}' for the format; there are ${Object.keys(this.#fields).join(', ')}`,
    );
  }

  /** One item by itself: no column is left out or widened. */
  row(item: T): string {
    let line = '';
    for (const column of this.#columns) line += column.text + cell(column, item);
    return line;
  }

  /** The lines of a table of these items, its header first. */
  lines(items: readonly T[], { header = true, width }: TableOptions = {}): string[] {
    const format = this.fitted(items, header);
    const lines = format.rows(items).map(({ line }) => line);
    if (header) lines.unshift(format.header());
    return width ? lines.map((line) => cutLine(line, width)) : lines;
  }

  /** The format for a table that has these items: columns are left out or widened, and stay so for other items. */
  fitted(items: readonly T[], header = true): OutputFormat<T> {
    const format = new OutputFormat('', this.#fields, this.#find);
    format.#columns = this.#columns.flatMap((column) => adjust(column, items, header));
    format.#sortKeys = this.#sortKeys;
    return format;
  }

  /** The headings. */
  header(): string {
    return this.#columns.map(({ text, field, spec }) => text + (field ? headingOf(field.heading, spec) : '')).join('');
  }

  /** The items in order, with a line each; those are left out that would have a blank one. */
  rows(items: readonly T[]): Row<T>[] {
    return this.#sorted(items)
      .map((item) => ({ item, line: this.row(item) }))
      .filter(({ line }) => line.trim() !== '');
  }

  #sorted(items: readonly T[]): readonly T[] {
    return this.#sortKeys.toReversed().reduce((list, { field, reverse }) => {
      const direction = reverse ? -1 : 1;
      return list
        .map((item) => ({ item, key: sortKey(field.value(item)) }))
        .sort((a, b) => direction * compare(a.key, b.key))
        .map(({ item }) => item);
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
  const widest = texts.reduce((width, text) => Math.max(width, lengthOf(text)), 0);
  if (omitEmpty && widest === 0) return [];
  if (!expand) return [{ ...column, omitEmpty: false }];
  const width = Math.max(spec.width ?? 0, header ? field.heading.length : 0, widest);
  const fitted = { ...spec, width, precision: spec.precision && Math.max(spec.precision, width) };
  return [{ ...column, omitEmpty: false, expand: false, spec: fitted }];
}

function cell<T>(column: Column<T>, item: T): string {
  return column.field ? formatValue(convert(column, column.field.value(item)), column.spec) : '';
}

function headingOf(heading: string, { align, width }: FormatSpec): string {
  return formatValue(heading, { ...parseFormatSpec(''), align: align === '=' ? '' : align, width });
}

/** A line no longer than `width`; a plus shows that something was cut off. */
export function cutLine(line: string, width: number): string {
  return lengthOf(line) > width ? `${[...line].slice(0, width - 1).join('')}+` : line;
}

// ---- conversions

function convert<T>({ conversion, timeFormat }: Column<T>, value: FieldValue): FieldValue {
  if (conversion === '') return value;
  const seconds = value === '' || value === undefined ? undefined : Number(value);
  if (seconds !== undefined && Number.isNaN(seconds) && /[dDFHP]/.test(conversion))
    throw new FluxError('EINVAL', `'!${conversion}' is for numbers, not for '${textOf(value)}'`);
  switch (conversion) {
    case 's':
      return textOf(value);
    case 'r':
      return reprOf(value);
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
function compare([orderA, valueA]: Key, [orderB, valueB]: Key): number {
  if (orderA !== orderB) return orderA - orderB;
  return valueA < valueB ? -1 : valueA > valueB ? 1 : 0;
}

type Key = readonly [number, number | string];

function sortKey(value: FieldValue): Key {
  // As in flux-core, what no job could have told of goes with the texts.
  if (value === undefined) return [2, ''];
  if (value === '' || value === '-') return [0, 0];
  if (typeof value !== 'string') return [1, Number(value)];
  const isNumber = value.trim() !== '' && !/^\s*0[xob]/i.test(value) && !Number.isNaN(Number(value));
  return isNumber ? [1, Number(value)] : [2, value];
}
