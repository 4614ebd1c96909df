/** The environment of a job's tasks on one rank: what the jobspec brings, and what the shell and its plugins set. */

import { systemAttributes } from '../../core/formats/system-attributes.ts';
import type { JsonObject } from '../../core/json.ts';
import { isObject } from '../../core/message/unpack.ts';
import type { Shell } from './plugin.ts';

export class JobEnvironment {
  readonly #values: Map<string, string>;
  // NAME=value of all; undefined when it is to be made again.
  #entries: readonly string[] | undefined;

  constructor(jobspec: JsonObject) {
    const { environment } = systemAttributes(jobspec);
    this.#values = new Map(
      Object.entries(isObject(environment) ? environment : {}).map(([name, value]) => [name, String(value)]),
    );
  }

  get(name: string): string | undefined {
    return this.#values.get(name);
  }

  /** Sets a variable; undefined takes it away. */
  set(name: string, value: string | undefined): void {
    this.#entries = undefined;
    if (value === undefined) this.#values.delete(name);
    else this.#values.set(name, value);
  }

  toRecord(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#values);
  }

  /** NAME=value of a task's variables, of which `own` differ from those of the job. */
  entriesWith(own: ReadonlyMap<string, string | undefined>): string[] {
    this.#entries ??= Array.from(this.#values, ([name, value]) => `${name}=${value}`);
    const entries: string[] = [];
    for (const entry of this.#entries) if (!own.has(entry.slice(0, entry.indexOf('=')))) entries.push(entry);
    for (const [name, value] of own) if (value !== undefined) entries.push(`${name}=${value}`);
    return entries;
  }
}

/**
 * Sets what every task has.
 *
 * @param uri FLUX_URI
 */
export function setJobVariables(shell: Shell, uri: string): void {
  const path = shell.context.attribute('jobid-path') ?? '/';
  const id = shell.jobidText;
  shell.setEnv('FLUX_PROXY_REMOTE', undefined);
  shell.setEnv('FLUX_URI', uri);
  shell.setEnv('FLUX_KVS_NAMESPACE', shell.namespace);
  shell.setEnv('FLUX_JOB_ID_PATH', `${path === '/' ? '' : path}/${id}`);
  shell.setEnv('FLUX_JOB_SIZE', String(shell.taskCount));
  shell.setEnv('FLUX_JOB_NNODES', String(shell.size));
  shell.setEnv('FLUX_JOB_ID', id);
  // What the submitting host set is not what this one is called.
  if (shell.getEnv('HOSTNAME') !== undefined) shell.setEnv('HOSTNAME', shell.hostname);
}
