/**
 * The command object of a request to run a program (RFC 42, Command Object), and what becomes of it on this rank.
 */

import { FluxError } from '../../core/errno.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { isObject, unpack } from '../../core/message/unpack.ts';

export interface Command {
  readonly cwd: string | undefined;
  readonly cmdline: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly opts: Readonly<Record<string, string>>;
  readonly channels: readonly string[];
  readonly label: string | undefined;
  /** The object as it came, with the environment that the program gets: what `attach` shows. */
  readonly json: JsonObject;
}

/** Variables that no program started here may see: they speak of how the broker itself was started. */
const hidden = ['FLUX_PROXY_REMOTE', 'NOTIFY_SOCKET', 'INVOCATION_ID'];

const DEFAULT_BUFFER_BYTES = 4 * 1024 * 1024;

function strings(what: string, value: JsonValue): string[] {
  if (!Array.isArray(value) || value.some((each) => typeof each !== 'string'))
    throw new FluxError('EPROTO', `${what} is not an array of strings`);
  return value as string[];
}

function stringTable(what: string, value: JsonValue): Record<string, string> {
  if (!isObject(value) || Object.values(value).some((each) => typeof each !== 'string'))
    throw new FluxError('EPROTO', `${what} is not an object of strings`);
  return value as Record<string, string>;
}

/**
 * Reads a command object.
 *
 * @param serverEnvironment what an empty environment stands for
 * @param uri FLUX_URI of the program, always that of this rank
 * @throws FluxError EPROTO: malformed, or empty
 */
export function parseCommand(
  json: JsonObject,
  serverEnvironment: Readonly<Record<string, string>>,
  uri: string,
): Command {
  const { cwd, cmdline, env, opts, channels, label } = unpack(json, {
    cwd: 's?',
    cmdline: 'a',
    env: 'o',
    opts: 'o',
    channels: 'a',
    label: 's?',
  });
  const words = strings('cmdline', cmdline);
  if (words.length === 0) throw new FluxError('EPROTO', 'command string is empty');
  if (label === '') throw new FluxError('EPROTO', 'the label is empty');
  const given = stringTable('env', env);
  const environment: Record<string, string> = {
    ...(Object.keys(given).length ? given : serverEnvironment),
    FLUX_URI: uri,
  };
  for (const name of hidden) delete environment[name];
  return {
    cwd,
    cmdline: words,
    env: environment,
    opts: stringTable('opts', opts),
    channels: strings('channels', channels),
    label,
    json: { ...json, env: environment, msgchan: json.msgchan ?? [] },
  };
}

/** Bytes that a stream's buffer holds: option `<stream>_BUFSIZE`, a number with an optional K, M or G. */
export function bufferBytes(command: Command, stream: string): number {
  const text = command.opts[`${stream}_BUFSIZE`];
  if (text === undefined) return DEFAULT_BUFFER_BYTES;
  const [, digits, unit = ''] = /^(\d+)([kKmMgG]?)$/.exec(text) ?? [];
  const bytes = Number(digits) * 1024 ** ' kmg'.indexOf(unit.toLowerCase() || ' ');
  if (!(bytes > 0) || bytes > 0x7fffffff) throw new FluxError('EINVAL', `${stream}_BUFSIZE is no size: '${text}'`);
  return bytes;
}

/** Whether a stream's output is cut into lines: option `<stream>_LINE_BUFFER`, true unless it says false. */
export function isLineBuffered(command: Command, stream: string): boolean {
  const text = command.opts[`${stream}_LINE_BUFFER`]?.toLowerCase() ?? 'true';
  if (text !== 'true' && text !== 'false')
    throw new FluxError('EINVAL', `${stream}_LINE_BUFFER is neither true nor false: '${text}'`);
  return text === 'true';
}

/** The name of a program as lists show it: a flux command with its subcommand. */
export function programName(command: Command): string {
  const [program = '', subcommand] = command.cmdline;
  return program === 'flux' && subcommand !== undefined ? `${program} ${subcommand}` : program;
}
