/**
 * The entry of the threads that run plugins of job-ingest. A plugin's file exports `validate(job, settings)` or
 * `frob(job, settings)`: what it throws is why the job is refused.
 */

import { statSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { errno, FluxError } from '../../core/errno.ts';
import { type JsonObject, type JsonValue, parseJson, stringifyJson } from '../../core/json.ts';
import { isObject } from '../../core/message/unpack.ts';
import type { PluginCall, PluginKind, PluginOutcome } from './plugin-files.ts';

type Plugin = (job: JsonObject, settings: { readonly args: readonly string[]; readonly config: JsonValue }) => unknown;

/** The configuration is the same for many jobs. */
let lastConfig: { readonly text: string; readonly value: JsonValue } | undefined;

export default async function run({ kind, file, job, config, args }: PluginCall): Promise<PluginOutcome> {
  try {
    const plugin = await load(kind, path.resolve(file));
    const subject = parseJson(job) as JsonObject;
    if (lastConfig?.text !== config) lastConfig = { text: config, value: parseJson(config) };
    const result = await plugin(subject, { args, config: lastConfig.value });
    if (kind === 'validate') return { errnum: 0 };
    const jobspec = result === undefined ? subject.jobspec : result;
    if (!isObject(jobspec)) throw new FluxError('EINVAL', `${file}: what it made of the jobspec is no object`);
    return { errnum: 0, jobspec: stringifyJson(jobspec) };
  } catch (error) {
    return failure(error);
  }
}

async function load(kind: PluginKind, file: string): Promise<Plugin> {
  const { mtimeMs } = statSync(file);
  const exports = (await import(`${pathToFileURL(file).href}?${mtimeMs}`)) as Readonly<Record<string, unknown>>;
  const plugin = exports[kind];
  if (typeof plugin !== 'function') throw new FluxError('EPROTO', `${file} does not export a function '${kind}'`);
  return plugin as Plugin;
}

/** An error may say which errno submitters get; else they are told that they may not. */
function failure(error: unknown): PluginOutcome {
  if (!(error instanceof Error)) return { errnum: errno.EPERM, errstr: String(error) };
  const { errno: number } = error as { errno?: unknown };
  const errnum = typeof number === 'number' && number !== 0 ? Math.abs(number) : errno.EPERM;
  return { errnum, errstr: error.message };
}
