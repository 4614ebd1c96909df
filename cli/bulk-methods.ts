/** Methods that `--define=NAME=CODE` gives to the inputs of `flux bulksubmit`: Python expressions of `x`, so Python runs them. */

import { spawnSync } from 'node:child_process';
import { FluxError } from '../core/errno.ts';
import { type JsonObject, type JsonValue, parseJson } from '../core/json.ts';
import type { Methods } from './bulk-format.ts';

/** Reads `[[name, code], …]` and inputs, and tells what each code makes of each: `{value}` or `{error}`. */
const program = `
import json, sys
methods, inputs = json.load(sys.stdin)
def call(code, x):
    try:
        value = eval(code, globals(), {"x": x})
        if isinstance(value, list):
            return {"value": [str(each) for each in value]}
        return {"value": value if isinstance(value, (int, float)) else str(value)}
    except Exception as error:
        return {"error": str(error)}
results = []
for name, text in methods:
    try:
        code = compile(text, name, "eval")
    except Exception as error:
        sys.exit("--define=%s=%s: %s" % (name, text, error))
    results.append([call(code, x) for x in inputs])
json.dump(results, sys.stdout)
`;

/**
 * Prepares methods for inputs.
 *
 * @param definitions `NAME=CODE` each
 * @throws FluxError EINVAL: no such definition, or code that is none; ENOENT: there is no Python
 */
export function defineMethods(definitions: readonly string[], inputs: readonly string[]): Methods {
  if (!definitions.length) return new Map();
  const pairs = definitions.map((definition): [string, string] => {
    const equals = definition.indexOf('=');
    if (equals < 1) throw new FluxError('EINVAL', `--define=${definition}: NAME=CODE is needed`);
    return [definition.slice(0, equals), definition.slice(equals + 1)];
  });
  const distinct = [...new Set(inputs)];
  const results = runPython(JSON.stringify([pairs, distinct]));
  return new Map(
    pairs.map(([name], index) => [
      name,
      (input: string) => {
        const { value, error } = results[index]?.[distinct.indexOf(input)] ?? {};
        if (value === undefined) throw new FluxError('EINVAL', `.${name} of '${input}': ${error}`);
        return value as string | number | readonly string[];
      },
    ]),
  );
}

function runPython(input: string): JsonObject[][] {
  const { error, status, stdout, stderr } = spawnSync('python3', ['-c', program], {
    input,
    encoding: 'utf8',
    maxBuffer: Infinity,
  });
  if (error) throw new FluxError('ENOENT', `--define needs python3: ${error.message}`);
  if (status !== 0) throw new FluxError('EINVAL', stderr.trim());
  return parseJson(stdout) as JsonValue as JsonObject[][];
}
