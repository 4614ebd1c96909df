/** The configuration of an instance that a job starts, put together from what `--conf` is given. */

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { withValueAt } from '../core/broker/config-path.ts';
import { about, FluxError } from '../core/errno.ts';
import { parseToml } from '../core/formats/toml.ts';
import { type JsonObject, type JsonValue, parseJson } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';
import { mergeConfig } from '../core/node/config-files.ts';

/**
 * Adds to a configuration: a text with line breaks (JSON or TOML), KEY=VALUE, a `.toml` or `.json` file, or the name of
 * one in the folders for configuration.
 *
 * @throws FluxError what is wrong with it
 */
export function addConfig(config: JsonObject, value: string): JsonObject {
  if (value.includes('\n')) return mergeConfig(config, parseText(value));
  const equals = value.indexOf('=');
  if (equals >= 0) return withValueAt(config, value.slice(0, equals), parseValue(value.slice(equals + 1)));
  if (/\.(toml|json)$/.test(value)) return mergeConfig(config, readConfig(value));
  return mergeConfig(config, readConfig(findNamed(value)));
}

function parseText(text: string): JsonObject {
  try {
    const parsed = parseJson(text);
    if (isObject(parsed)) return parsed;
  } catch {
    // No JSON, so it is TOML.
  }
  try {
    return parseToml(text, '--conf');
  } catch (error) {
    throw about('--conf: neither JSON nor TOML', error);
  }
}

function parseValue(text: string): JsonValue {
  try {
    return parseJson(text);
  } catch {
    return text;
  }
}

function readConfig(file: string): JsonObject {
  try {
    const text = fs.readFileSync(file, 'utf8');
    if (file.endsWith('.toml')) return parseToml(text, file);
    const parsed = parseJson(text);
    if (isObject(parsed)) return parsed;
  } catch (error) {
    throw about('--conf', about(file, error));
  }
  throw new FluxError('EINVAL', `--conf: ${file}: no JSON object`);
}

/** The first file of that name in the user's folder and in those of the system (XDG). */
function findNamed(name: string): string {
  const { XDG_CONFIG_HOME, XDG_CONFIG_DIRS } = process.env;
  const folders = [
    XDG_CONFIG_HOME || path.join(os.homedir(), '.config'),
    ...(XDG_CONFIG_DIRS || '/etc/xdg').split(':'),
  ];
  const files = folders.flatMap((folder) =>
    ['.toml', '.json'].map((extension) => path.join(folder, 'flux', 'config', name + extension)),
  );
  const found = files.find((file) => fs.existsSync(file));
  if (found === undefined) throw new FluxError('ENOENT', `--conf: there is no configuration named '${name}'`);
  return found;
}
