/** `flux job-validator`: says of each job on standard input, one a line, whether it may be submitted. */

import readline from 'node:readline';
import type { Command } from 'commander';
import { asFluxError, errno, FluxError } from '../core/errno.ts';
import { encodeJson } from '../core/formats/jansson.ts';
import { Urgency } from '../core/formats/job-submission.ts';
import { Handle } from '../core/handle/handle.ts';
import { callPlugin, isPluginFile } from '../core/handle/ingest-plugin.ts';
import {
  type JobCandidate,
  makeValidator,
  usualValidators,
  type Validator,
  type ValidatorInstance,
  validatorKinds,
  validatorOptions,
} from '../core/handle/job-validators.ts';
import { type JsonObject, type JsonValue, parseJson, stringifyJson } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';
import { Exit, PYTHON_USAGE_ERROR, runCommand, subcommand } from './command.ts';
import { importFile } from './import-file.ts';
import { print } from './print.ts';

interface Options {
  jobspecOnly?: boolean;
  plugins: readonly string[];
  listPlugins?: boolean;
}

/** `flux job-validator [--jobspec-only] [--plugins=NAMES]` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand(
    'job-validator',
    'Say of jobs whether they are valid; standard input has one on each line.',
  )
    .option('--jobspec-only', 'Each line is a jobspec alone; exit with 1 when one is not valid.')
    .argument('[args...]', 'arguments of validators in files')
    .option(
      '--plugins <NAMES>',
      'Ask these validators, files of JavaScript among them.',
      (names, all: string[]) => [...all, ...names.split(',')],
      [],
    )
    .option('--require-version <VERSION>', 'jobspec: the version that jobspecs must have, 1 or any.')
    .option('--require-instance-minnodes <N>', 'require-instance: the least nodes of jobs that must be instances.')
    .option('--require-instance-mincores <N>', 'require-instance: the least cores of jobs that must be instances.')
    .option('--list-plugins', 'Show the validators that there are, and exit.')
    .action(async (args: string[], options: Options) => {
      if (options.listPlugins) listPlugins();
      else await validateInput(options, args, command);
    });
  return runCommand(command, args, PYTHON_USAGE_ERROR);
}

function listPlugins(): void {
  print('Available plugins:');
  for (const [name, { description }] of Object.entries(validatorKinds)) print(`${name.padEnd(20)}  ${description}`);
}

async function validateInput(
  { plugins, jobspecOnly = false }: Options,
  args: readonly string[],
  command: Command,
): Promise<void> {
  const opened = Handle.open();
  try {
    const names = plugins.length ? plugins : usualValidators;
    const hasFiles = names.some(isPluginFile);
    if (args.length && !hasFiles) throw new FluxError('EINVAL', `no validator in a file takes '${args[0]}'`);
    const instance = await describeInstance(opened, names.includes('require-instance'), hasFiles);
    await validateLines(makeValidators(names, args, instance, command), jobspecOnly);
  } finally {
    await opened.then(
      (handle) => handle.ref(false),
      () => {},
    );
  }
}

function makeValidators(
  names: readonly string[],
  args: readonly string[],
  instance: ValidatorInstance,
  command: Command,
): readonly Validator[] {
  const words = Object.entries(command.opts()).flatMap(([name, value]) =>
    name.startsWith('require') ? [`--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}=${value}`] : [],
  );
  const options = validatorOptions(words, false);
  return names.map((name) => {
    if (isPluginFile(name)) return fileValidator(name, args, instance);
    const validator = makeValidator(name, instance, options);
    if (!validator) throw new FluxError('EINVAL', `validator plugin '${name}' not found`);
    return validator;
  });
}

function fileValidator(file: string, args: readonly string[], { config }: ValidatorInstance): Validator {
  const configText = stringifyJson(config);
  return async (job) => {
    const call = { kind: 'validate', file, job: stringifyJson(job.describe()), config: configText, args } as const;
    const { errnum, errstr } = await callPlugin(call, importFile);
    if (errnum) throw new FluxError(errnum, errstr);
  };
}

/** Without an instance, hosts may be called as one likes, there is no configuration, and what must be asked for fails. */
async function describeInstance(
  opened: Promise<Handle>,
  needsConfig: boolean,
  wantsConfig: boolean,
): Promise<ValidatorInstance> {
  const hosts = await opened.then((handle) => handle.attribute('hostlist')).catch(() => undefined);
  const isThere = needsConfig || (wantsConfig && hosts !== undefined);
  const config = isThere ? await (await opened).rpc<JsonObject>('config.get') : {};
  return { config, hostlist: () => hosts, rpc: async (...request) => (await opened).rpc(...request) };
}

async function validateLines(validators: readonly Validator[], jobspecOnly: boolean): Promise<void> {
  let allValid = true;
  for await (const line of readline.createInterface({ input: process.stdin })) {
    if (line.trim() === '') continue;
    const faults = await findFaults(parseLine(line), jobspecOnly, validators);
    if (faults.length) allValid = false;
    print(encodeJson(answer(faults)));
  }
  if (jobspecOnly && !allValid) throw new Exit(1);
}

function answer(faults: readonly FluxError[]): JsonObject {
  if (faults.length === 0) return { errnum: 0 };
  const sentences = new Set(faults.map(({ message }) => message));
  return { errnum: Math.max(...faults.map((fault) => fault.errno)), errstr: [...sentences].join(', ') };
}

function parseLine(line: string): JsonValue {
  try {
    return parseJson(line);
  } catch (error) {
    throw new FluxError('EINVAL', `a line of standard input is no JSON: ${(error as Error).message}`);
  }
}

async function findFaults(
  line: JsonValue,
  jobspecOnly: boolean,
  validators: readonly Validator[],
): Promise<readonly FluxError[]> {
  const job = candidate(line, jobspecOnly);
  if (!job) return [new FluxError(errno.EPERM, 'the job has no jobspec')];
  const faults: FluxError[] = [];
  for (const validate of validators) {
    try {
      await validate(job);
    } catch (error) {
      faults.push(asFluxError(error));
    }
  }
  return faults;
}

function candidate(line: JsonValue, jobspecOnly: boolean): JobCandidate | undefined {
  const jobspec = jobspecOnly ? line : isObject(line) ? line.jobspec : undefined;
  if (jobspec === undefined) return undefined;
  const about =
    isObject(line) && !jobspecOnly ? line : { userid: process.getuid!(), flags: 0, urgency: Urgency.default };
  return { jobspec, describe: () => ({ ...about, jobspec }) };
}
