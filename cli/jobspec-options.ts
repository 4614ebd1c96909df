/** What the options that all submission commands share put into a jobspec. */

import { isUtf8 } from 'node:buffer';
import fs from 'node:fs';
import path from 'node:path';
import { about, FluxError } from '../core/errno.ts';
import { parseConstraint } from '../core/formats/constraint-syntax.ts';
import { parseDurationArgument } from '../core/formats/duration.ts';
import type { Jobspec, JobspecFile } from '../core/formats/jobspec.ts';
import { parsePythonFloat, parsePythonInt } from '../core/formats/python-number.ts';
import { parseSignal } from '../core/formats/signal.ts';
import { type JsonValue, parseJson, real } from '../core/json.ts';

import { jobEnvironment } from './job-environment.ts';
import { jobLimits } from './job-rlimits.ts';
import { parseJobUri } from './job-uri.ts';
import type { SubmissionOptions } from './submission-options.ts';

/** Seconds of a time limit: a plain number counts minutes. */
export function timeLimitSeconds(text: string): number {
  const minutes = parsePythonFloat(text);
  return minutes === undefined ? parseDurationArgument(text) : minutes * 60;
}

/** What a jobspec is begun with, before other options. */
export function setBasics(jobspec: Jobspec, options: SubmissionOptions, stdin: string | undefined): void {
  const { timeLimit, cwd = process.cwd(), jobName, output, error, labelIo, unbuffered, queue, bank } = options;
  if (timeLimit !== undefined) jobspec.setDuration(timeLimitSeconds(timeLimit));
  // Keeps the place among the attributes; the rules of --env come later.
  jobspec.set('system.environment', {});
  jobspec.set('system.cwd', cwd);
  if (jobName !== undefined) jobspec.set('system.job.name', jobName);
  if (stdin !== undefined) jobspec.setFile('stdin', stdin);
  for (const [stream, file] of [
    ['stdout', output],
    ['stderr', error],
  ] as const) {
    if (file === undefined || file === 'none' || file === 'kvs') continue;
    jobspec.setFile(stream, file);
    if (labelIo) jobspec.setShellOption(`output.${stream}.label`, true);
  }
  if (unbuffered) jobspec.setUnbuffered();
  if (queue !== undefined) jobspec.set('system.queue', queue);
  if (bank !== undefined) jobspec.set('system.bank', bank);
}

/**
 * Puts the other options into a jobspec.
 *
 * @throws FluxError what is wrong with one of them
 */
export function applyOptions(jobspec: Jobspec, options: SubmissionOptions): void {
  const { variables, templates } = jobEnvironment(options.env, process.env);
  jobspec.set('system.environment', Object.fromEntries(variables));
  if (templates.size) jobspec.setShellOption('env-expand', Object.fromEntries(templates));
  const limits = jobLimits(options.rlimit);
  if (limits.size) jobspec.setShellOption('rlimit', Object.fromEntries(limits));
  if (options.signal) jobspec.setShellOption('signal', parseSignalOption(options.signal));
  if (options.taskmap !== undefined) jobspec.setShellOption('taskmap', parseJobUri(options.taskmap, 'taskmap'));
  if (options.dependency.length) jobspec.set('system.dependencies', options.dependency.map(parseDependency));
  if (options.requires.length) jobspec.set('system.constraints', parseRequires(options.requires.join(' ')));
  for (const setting of options.setopt) {
    const [key, value] = parseSetting('--setopt', setting);
    jobspec.setShellOption(key, value);
  }
  for (const setting of options.setattr) {
    const [key, value] = parseSetting('--setattr', setting);
    jobspec.set(attributeKey(key), value);
  }
  for (const argument of options.addFile) addFile(jobspec, argument);
  if (options.debugEmulate) jobspec.setShellOption('stop-tasks-in-exec', 1);
}

function parseDependency(uri: string): JsonValue {
  const entry = parseJobUri(uri, 'dependency');
  if (entry.scheme === 'after') console.error("dependency scheme 'after' is deprecated, use 'afterstart'");
  return entry;
}

function parseRequires(text: string): JsonValue {
  try {
    return parseConstraint(text);
  } catch (error) {
    throw about(`--requires='${text}'`, error);
  }
}

/** `.KEY` is below attributes; without a known beginning, a key is below attributes.system. */
function attributeKey(key: string): string {
  if (key.startsWith('.')) return `attributes${key}`;
  return /^(attributes|user|system)\./.test(key) ? key : `system.${key}`;
}

/** A signal and how long before the end: `[SIG][@TIME]`. */
function parseSignalOption(text: string): JsonValue {
  const at = text.indexOf('@');
  const name = at < 0 ? text : text.slice(0, at);
  const time = at < 0 ? '' : text.slice(at + 1);
  try {
    return { signum: name ? signalNumber(name) : parseSignal('USR1'), timeleft: time ? secondsOf(time) : 60 };
  } catch (error) {
    throw about(`--signal=${text}`, error);
  }
}

function signalNumber(name: string): number {
  const number = parsePythonInt(name);
  if (number === undefined) {
    if (name !== name.toUpperCase()) throw new FluxError('EINVAL', `signal '${name}' is invalid`);
    return parseSignal(name);
  }
  if (number <= 0) throw new FluxError('EINVAL', 'signal must be > 0');
  return number;
}

function secondsOf(text: string): JsonValue {
  return real(parsePythonFloat(text) ?? parseDurationArgument(text));
}

/** `KEY[=VALUE]`: a JSON value, or a text where it is none; 1 without. `^KEY=FILE` is JSON from a file. */
function parseSetting(option: string, setting: string): [key: string, value: JsonValue] {
  const equals = setting.indexOf('=');
  const key = equals < 0 ? setting : setting.slice(0, equals);
  const text = equals < 0 ? '1' : setting.slice(equals + 1);
  if (key.startsWith('^')) {
    if (equals < 0) throw new FluxError('EINVAL', `${option}: ${setting} names no file`);
    try {
      return [key.replace(/^\^+/, ''), parseJson(fs.readFileSync(text, 'utf8'))];
    } catch (error) {
      throw about(option, about(text, error));
    }
  }
  try {
    return [key, parseJson(text)];
  } catch {
    return [key, text];
  }
}

const DEFAULT_MODE = 0o600;

/** `[NAME[:PERMS]=]PATH`, or a text with line breaks instead of a path; `\n` written out is a line break, too. */
function addFile(jobspec: Jobspec, argument: string): void {
  const text = argument.replaceAll('\\n', '\n');
  const equals = text.indexOf('=');
  const data = equals < 0 ? '' : text.slice(equals + 1);
  if (!data) {
    const file = equals < 0 ? text : text.slice(0, equals);
    if (file.includes('\n')) throw new FluxError('EINVAL', '--add-file: the name of the file is missing');
    jobspec.addFile(path.posix.basename(file), readFile(argument, file));
    return;
  }
  const whole = text.slice(0, equals);
  const [, named, perms] = /^([^:]*):(?:0o?)?([0-7]+)$/i.exec(whole) ?? [];
  const name = named ?? whole;
  const mode = perms === undefined ? DEFAULT_MODE : Number.parseInt(perms, 8);
  const file: JobspecFile = data.includes('\n') ? { mode, data, encoding: 'utf-8' } : readFile(argument, data);
  jobspec.addFile(name, file);
}

function readFile(argument: string, file: string): JobspecFile {
  try {
    const { size, mode } = fs.statSync(file);
    const bytes = fs.readFileSync(file);
    return isUtf8(bytes)
      ? { mode, size, data: bytes.toString(), encoding: 'utf-8' }
      : { mode, size, data: bytes.toString('base64'), encoding: 'base64' };
  } catch (error) {
    throw about(`--add-file=${argument}`, error);
  }
}
