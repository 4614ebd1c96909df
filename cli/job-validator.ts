/** `flux job-validator`: says of each job on standard input, one a line, whether it may be submitted. */

import readline from 'node:readline';
import { errno, FluxError } from '../core/errno.ts';
import { Hostlist } from '../core/formats/hostlist.ts';
import { encodeJson } from '../core/formats/jansson.ts';
import { constrainedHosts, validateJobspec } from '../core/formats/jobspec-validate.ts';
import { type JsonValue, parseJson } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';
import { Exit, PYTHON_USAGE_ERROR, runCommand, subcommand, withHandle } from './command.ts';
import { print } from './print.ts';

interface Options {
  jobspecOnly?: boolean;
  requireVersion: string;
}

/** `flux job-validator [--jobspec-only]` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand(
    'job-validator',
    'Say of jobs whether they are valid; standard input has one on each line.',
  )
    .option('--jobspec-only', 'Each line is a jobspec alone; exit with 1 when one is not valid.')
    .option('--require-version <VERSION>', 'The version that jobspecs must have: 1, or any.', '1')
    .option('--list-plugins', 'Show what is checked, and exit.')
    .action(async (options: Options & { listPlugins?: boolean }) => {
      if (options.listPlugins) print('jobspec               RFC 14 and RFC 25');
      else await validateLines(options);
    });
  return runCommand(command, args, PYTHON_USAGE_ERROR);
}

async function validateLines({ jobspecOnly, requireVersion }: Options): Promise<void> {
  if (requireVersion !== '1' && requireVersion !== 'any')
    throw new FluxError('EINVAL', `--require-version: there is only version 1, not '${requireVersion}'`);
  let allValid = true;
  for await (const line of readline.createInterface({ input: process.stdin })) {
    if (line.trim() === '') continue;
    const error = await faultOf(parseLine(line), jobspecOnly ?? false);
    if (error) allValid = false;
    // Submitters are told that they may not, whatever it was.
    print(encodeJson(error ? { errnum: errno.EPERM, errstr: error } : { errnum: 0 }));
  }
  if (jobspecOnly && !allValid) throw new Exit(1);
}

function parseLine(line: string): JsonValue {
  try {
    return parseJson(line);
  } catch (error) {
    throw new FluxError('EINVAL', `a line of standard input is no JSON: ${(error as Error).message}`);
  }
}

async function faultOf(job: JsonValue, jobspecOnly: boolean): Promise<string | undefined> {
  const jobspec = jobspecOnly ? job : isObject(job) ? job.jobspec : undefined;
  try {
    if (jobspec === undefined) throw new FluxError('EINVAL', 'the job has no jobspec');
    validateJobspec(jobspec);
    const wanted = constrainedHosts(jobspec);
    if (wanted.length) {
      const hosts = await instanceHosts();
      for (const list of wanted) hosts?.index(list);
    }
    return undefined;
  } catch (error) {
    return (error as FluxError).message;
  }
}

let hosts: Promise<Hostlist | undefined> | undefined;

/** The hosts of the instance; undefined without one, where no constraint is wrong. */
function instanceHosts(): Promise<Hostlist | undefined> {
  hosts ??= withHandle((handle) => handle.attribute('hostlist')).then(
    (list) => Hostlist.parse(list),
    () => undefined,
  );
  return hosts;
}
