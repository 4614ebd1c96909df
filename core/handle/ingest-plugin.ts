/**
 * Plugins that users write: JavaScript files that look at each job before it is taken in. One exports
 * `validate(job, settings)` or `frob(job, settings)`: what it throws is why the job is refused.
 */

import { statSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { errno, FluxError } from '../errno.ts';
import { type JsonObject, type JsonValue, parseJson, stringifyJson } from '../json.ts';
import { isObject } from '../message/unpack.ts';

/** What a plugin does: says whether a job may be submitted, or changes its jobspec. */
export type PluginKind = 'validate' | 'frob';

export interface PluginCall {
  readonly kind: PluginKind;
  /** An absolute path, or one from the working directory. */
  readonly file: string;
  /** JSON texts; what passes between threads keeps no `Real`. */
  readonly job: string;
  readonly config: string;
  readonly args: readonly string[];
}

/** What came of a call; `errnum` 0 is success. */
export interface PluginOutcome {
  readonly errnum: number;
  readonly errstr?: string;
  /** The jobspec as JSON text, of `frob`. */
  readonly jobspec?: string;
}

type Plugin = (job: JsonObject, settings: { readonly args: readonly string[]; readonly config: JsonValue }) => unknown;

/** The configuration is the same for many jobs. */
let lastConfig: { readonly text: string; readonly value: JsonValue } | undefined;

/** Whether the name of a validator or frobnicator is that of a file. */
export function isPluginFile(name: string): boolean {
  return /\.[cm]?js$/.test(name);
}

/** Calls a plugin on this thread; never rejects. `importFile` imports a module by its URL. */
export async function callPlugin(
  { kind, file, job, config, args }: PluginCall,
  importFile: (url: string) => Promise<unknown>,
): Promise<PluginOutcome> {
  try {
    const { mtimeMs } = statSync(file);
    const url = `${pathToFileURL(path.resolve(file)).href}?${mtimeMs}`;
    const plugin = pluginOf(kind, file, await importFile(url));
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

function pluginOf(kind: PluginKind, file: string, exports: unknown): Plugin {
  const plugin = (exports as Readonly<Record<string, unknown>>)[kind];
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
