/** The environment that programs under `flux` find. */

import fs from 'node:fs';
import path from 'node:path';
import { builtInConfiguration } from '../core/broker/built-in-configuration.ts';

/** Variables that commands set, or pass on, for what they run. */
const variables = ['PATH', 'FLUX_EXEC_PATH', 'FLUX_CONNECTOR_PATH', 'FLUX_MODULE_PATH', 'FLUX_URI'];

/** The variables that are set, and their values. */
export function fluxEnvironment(): [name: string, value: string][] {
  return variables.flatMap((name) => {
    const value = process.env[name];
    return value ? [[name, value]] : [];
  });
}

/** Search paths one behind the other; of a folder that is there twice, the first stays. */
function joinPath(...parts: (string | undefined)[]): string {
  return [...new Set(parts.flatMap((part) => (part ? part.split(':') : [])))].join(':');
}

/** Sets the variables by which commands and modules are found, and this `flux` first in the PATH. */
export function setUpEnvironment(): void {
  const { env } = process;
  const { exec_path, connector_path, module_path } = builtInConfiguration;
  env.FLUX_EXEC_PATH = joinPath(env.FLUX_EXEC_PATH_PREPEND, exec_path, env.FLUX_EXEC_PATH);
  env.FLUX_CONNECTOR_PATH = joinPath(env.FLUX_CONNECTOR_PATH_PREPEND, connector_path, env.FLUX_CONNECTOR_PATH);
  env.FLUX_MODULE_PATH = joinPath(env.FLUX_MODULE_PATH_PREPEND, module_path, env.FLUX_MODULE_PATH);
  const own = process.argv[1];
  if (own && path.basename(own) === 'flux.cjs') env.PATH = joinPath(path.dirname(fs.realpathSync(own)), env.PATH);
}
