/** Reads the configuration's files: one, or all that end in `.toml` in a folder, and pieces from the command line. */

import fs from 'node:fs';
import path from 'node:path';
import { asFluxError, FluxError } from '../errno.ts';
import { parseToml } from '../formats/toml.ts';
import { type JsonObject, type JsonValue, parseJson } from '../json.ts';
import { isObject } from '../message/unpack.ts';

/** Puts the tables of `over` into those of `under`, deep; other values of `over` replace. */
export function mergeConfig(under: JsonObject, over: JsonObject): JsonObject {
  const merged: Record<string, JsonValue | undefined> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const old = merged[key];
    merged[key] = isObject(old) && isObject(value) ? mergeConfig(old, value) : value;
  }
  return merged;
}

function readFile(file: string): JsonObject {
  let text: string;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (error) {
    throw asFluxError(error);
  }
  if (!file.endsWith('.json')) return parseToml(text, file);
  return parseJsonObject(text, file);
}

function parseJsonObject(text: string, source: string): JsonObject {
  try {
    const value = parseJson(text);
    if (isObject(value)) return value;
  } catch (error) {
    throw new FluxError('EINVAL', `${source}: ${(error as Error).message}`);
  }
  throw new FluxError('EINVAL', `${source}: not a JSON object`);
}

/**
 * The configuration of a file or of a folder.
 *
 * @throws FluxError EINVAL or ENOENT: `Config file error: FILE:LINE: what`
 */
export function readConfigPath(where: string): JsonObject {
  try {
    if (!fs.statSync(where).isDirectory()) return readFile(where);
    const files = fs
      .readdirSync(where)
      .filter((name) => name.endsWith('.toml'))
      .sort();
    return files.reduce<JsonObject>((config, name) => mergeConfig(config, readFile(path.join(where, name))), {});
  } catch (error) {
    const { errno, message } = asFluxError(error);
    throw new FluxError(errno, `Config file error: ${message}`);
  }
}

/**
 * Adds what `--conf=VALUE` says to a configuration: TOML with line breaks, a JSON object, KEY=VALUE, or a file.
 *
 * @throws FluxError EINVAL or ENOENT: what is wrong with it
 */
export function updateConfig(config: JsonObject, value: string): JsonObject {
  if (value.includes('\n')) return mergeConfig(config, parseToml(value, '--conf'));
  if (value.startsWith('{')) return mergeConfig(config, parseJsonObject(value, '--conf'));
  const equals = value.indexOf('=');
  if (equals < 0) return mergeConfig(config, readConfigPath(value));
  const text = value.slice(equals + 1);
  let parsed: JsonValue;
  try {
    parsed = parseJson(text);
  } catch {
    parsed = text;
  }
  const nested = value
    .slice(0, equals)
    .split('.')
    .reduceRight<JsonValue>((inner, key) => ({ [key]: inner }), parsed);
  return mergeConfig(config, nested as JsonObject);
}
