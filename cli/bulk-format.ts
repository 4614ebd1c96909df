/** Replaces `{}`, `{0}`, `{seq}`, `{cc}` and their like in the command and the options of a job (Python's str.format). */

import { about, FluxError } from '../core/errno.ts';
import { type FieldValue, formatValue, parseFormat, parseFormatSpec, textOf } from '../core/formats/python-format.ts';
import type { BulkOptions } from './bulk-options.ts';

/** A command line: one for each job. */
export interface JobLine {
  readonly words: readonly string[];
  readonly options: BulkOptions;
  /** The options that replacements have changed. */
  readonly changed: ReadonlySet<OptionName>;
}

/** Methods of --define: what each makes of an input. */
export type Methods = ReadonlyMap<string, (input: string) => FieldValue | readonly string[]>;

export interface Replacements {
  readonly inputs: readonly string[];
  readonly methods: Methods;
  readonly named: Readonly<Record<string, FieldValue>>;
}

/** The options in which replacements are made, and how they are shown. */
const shownAs = {
  queue: '-q',
  bank: '-B',
  ntasks: '-n',
  nodes: '-N',
  coresPerTask: '-c',
  gpusPerTask: '-g',
  cores: '--cores=',
  tasksPerNode: '--tasks-per-node=',
  tasksPerCore: '--tasks-per-core=',
  gpusPerNode: '--gpus-per-node=',
  timeLimit: '-t',
  env: '--env=',
  urgency: '--urgency=',
  setopt: '-o ',
  setattr: '--setattr=',
  jobName: '--job-name=',
  input: '--input=',
  output: '--output=',
  error: '--error=',
  cc: '--cc=',
  bcc: '--bcc=',
  log: '--log=',
  logStderr: '--log-stderr=',
  dependency: '--dependency=',
  taskmap: '--taskmap=',
  requires: '--requires=',
  waitFor: '--wait-event=',
  cwd: '--cwd=',
  flags: '--flags=',
  signal: '--signal=',
} as const;

type OptionName = keyof typeof shownAs;
const optionNames = Object.keys(shownAs) as OptionName[];

/** Between the words that a method makes of an input. */
const LIST_SEPARATOR = '::list::';

/**
 * A line with all replacements made.
 *
 * @throws FluxError EINVAL: a replacement that there is none for
 */
export function formatLine({ words, options }: JobLine, replacements: Replacements): JobLine {
  const format = (text: string, what: string): string => {
    try {
      return formatText(text, replacements);
    } catch (error) {
      throw about(`${what}${text}`, error);
    }
  };
  const changed = new Set<OptionName>();
  const formatted: Record<string, unknown> = { ...options };
  for (const name of optionNames) {
    const value = options[name];
    if (value === undefined || (Array.isArray(value) && !value.length)) continue;
    const texts = [value].flat();
    const results = texts.map((text) => format(text, shownAs[name]));
    formatted[name] = Array.isArray(value) ? results : results[0];
    const isChanged = results.some((result, index) => result !== texts[index] || /\{\{|\}\}/.test(result));
    if (isChanged || name === 'cc') changed.add(name);
  }
  const newWords = words.flatMap((word) => format(word, 'command: ').split(LIST_SEPARATOR));
  return { words: newWords, options: formatted as unknown as BulkOptions, changed };
}

/** A line as --verbose and --dry-run show it: what replacements changed, and the command. */
export function showLine({ words, options, changed }: JobLine): string {
  const shown = optionNames.flatMap((name) => {
    const value = options[name];
    if (!changed.has(name) || !value?.length) return [];
    return `${shownAs[name]}${Array.isArray(value) ? `[${value.map(quote).join(', ')}]` : value}`;
  });
  return [...shown, ...words].join(' ');
}

/** A text as Python's repr() has it. */
function quote(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replaceAll('\\', '\\\\').replaceAll(mark, `\\${mark}`);
  return `${mark}${escaped.replaceAll('\n', '\\n').replaceAll('\t', '\\t')}${mark}`;
}

// Mustache templates are the job shell's: they stay as they are. No text from outside has these characters.
const OPEN = '\ue0b0';
const CLOSE = '\ue0b1';

function formatText(text: string, replacements: Replacements): string {
  let next = 0;
  const guarded = text.replaceAll('{{', OPEN).replaceAll('}}', CLOSE);
  const pieces = parseFormat(guarded).map(({ text: before, field, spec }) => {
    if (field === undefined) return before;
    const numbered = /^(?:\.|\[|$)/.test(field) ? `${next++}${field}` : field;
    const value = resolveField(numbered, replacements);
    const result = spec ? formatValue(value, parseFormatSpec(spec)) : textOf(value);
    return before + result;
  });
  return pieces.join('').replaceAll(OPEN, '{{').replaceAll(CLOSE, '}}');
}

function resolveField(field: string, { inputs, methods, named }: Replacements): FieldValue {
  const [, name = '', attribute] = /^([^.[]*)(?:\.(.*))?$/s.exec(field) ?? [];
  if (!/^\d+$/.test(name)) {
    const value = Object.hasOwn(named, name) ? named[name] : undefined;
    if (value === undefined || attribute !== undefined) throw new FluxError('EINVAL', `there is no '{${field}}'`);
    return value;
  }
  const input = inputs[Number(name)];
  if (input === undefined) throw new FluxError('EINVAL', `there is no input number ${name}`);
  if (attribute === undefined) return input;
  const value = attributeOf(input, attribute, methods);
  return typeof value === 'object' && Array.isArray(value) ? value.join(LIST_SEPARATOR) : (value as FieldValue);
}

function attributeOf(input: string, attribute: string, methods: Methods): FieldValue | readonly string[] {
  const slash = input.lastIndexOf('/');
  switch (attribute) {
    case '%':
      return withoutExtension(input);
    case '/':
      return input.slice(slash + 1);
    case '//':
      return slash > 0 ? input.slice(0, slash).replace(/(?<=[^/])\/+$/, '') : input.slice(0, slash + 1);
    case '/%':
      return withoutExtension(input).slice(withoutExtension(input).lastIndexOf('/') + 1);
  }
  const method = methods.get(attribute);
  if (!method) throw new FluxError('EINVAL', `there is no method '.${attribute}' of inputs`);
  return method(input);
}

function withoutExtension(file: string): string {
  const slash = file.lastIndexOf('/');
  const dot = file.lastIndexOf('.');
  // Dots that a name begins with begin no extension.
  return dot > slash && /[^.]/.test(file.slice(slash + 1, dot)) ? file.slice(0, dot) : file;
}
