/** `flux module stats`: what a module counts, and what its thread has used. */

import { type Command, Option } from 'commander';
import { valueAt } from '../core/broker/config-path.ts';
import { about, FluxError } from '../core/errno.ts';
import { formatFixed } from '../core/formats/printf.ts';
import type { Handle } from '../core/handle/handle.ts';
import { type JsonObject, Real } from '../core/json.ts';
import { reader, withHandle } from './command.ts';
import { indentJson } from './json.ts';
import { print } from './print.ts';

interface Options {
  parse?: string;
  type?: 'int' | 'double';
  scale: number;
  rusage?: 'self' | 'children' | 'thread';
  clear?: boolean;
  clearAll?: boolean;
}

const scale = reader((text) => {
  const factor = Number(text);
  if (text.trim() === '' || Number.isNaN(factor)) throw new Error(`'${text}' is not a number.`);
  return factor;
});

export const statsCommand = {
  summary: 'Show or clear the statistics of a module',
  define: (command: Command): Command =>
    command
      .argument('<name>', 'name of the module')
      .option('-p, --parse <NAME>', 'Show only this value: names with dots between them.')
      .addOption(new Option('-t, --type <TYPE>', 'Show it as an integer or as a real.').choices(['int', 'double']))
      .option('-s, --scale <FACTOR>', 'Multiply it.', scale, 1)
      .addOption(
        new Option('-R, --rusage [WHO]', 'Show what getrusage(2) tells of the process, its children or the thread.')
          .choices(['self', 'children', 'thread'])
          .preset('self'),
      )
      .option('-c, --clear', 'Clear the statistics.')
      .option('-C, --clear-all', 'Clear them on all ranks.')
      .action((name: string, options: Options) => withHandle((handle) => stats(handle, name, options))),
};

async function stats(handle: Handle, name: string, options: Options): Promise<void> {
  if (options.clear) await ask(handle, `${name}.stats-clear`);
  else if (options.clearAll) await handle.publish(`${name}.stats-clear`);
  else if (options.rusage) show(await ask(handle, `${name}.rusage`, { who: options.rusage }), options);
  else show(await ask(handle, `${name}.stats-get`), options);
}

function ask(handle: Handle, topic: string, payload?: JsonObject): Promise<JsonObject> {
  return handle.rpc(topic, payload).catch((error: unknown) => {
    throw about(topic, error);
  });
}

function show(answer: JsonObject, { parse, type, scale }: Options): void {
  const value = parse === undefined ? answer : valueAt(answer, parse);
  if (value === undefined) throw new FluxError('ENOENT', `the answer has no '${parse}'`);
  const number = typeof value === 'number' || value instanceof Real ? Number(value) : 0;
  if (type === 'int' || (type === undefined && typeof value === 'number' && Number.isInteger(value)))
    print(String(Math.trunc(number * scale)));
  else if (type === 'double' || typeof value === 'number' || value instanceof Real)
    print(formatFixed(number * scale, 6));
  else print(indentJson(value, 1));
}
