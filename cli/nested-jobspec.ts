/** The jobspec of `flux batch` and `flux alloc`: an instance of its own, on slots. */

import type { Command } from 'commander';
import { FluxError } from '../core/errno.ts';
import { IdSet } from '../core/formats/idset.ts';
import { Jobspec } from '../core/formats/jobspec.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';
import { collect, reader } from './command.ts';
import { addConfig } from './instance-config.ts';
import { applyOptions, setBasics } from './jobspec-options.ts';
import { hidden, pythonInteger, type SubmissionOptions, submissionOptions } from './submission-options.ts';

export interface NestedOptions extends SubmissionOptions {
  addBrokers: number;
  conf: string[];
  brokerOpts: string[];
  brokerOpt: string[];
  dump?: string;
  nslots?: number;
  coresPerSlot: number;
  gpusPerSlot?: number;
  nodes?: number;
  exclusive?: boolean;
}

const integer = reader(pythonInteger);

export function nestedOptions(command: Command): Command {
  return submissionOptions(command)
    .addOption(hidden(command, '--add-brokers <N>').argParser(integer).default(0))
    .option('--conf <CONF>', 'Configure the instance: JSON, TOML, KEY=VALUE, a file, or the name of one.', collect, [])
    .option('--broker-opts <OPTS>', 'Options for its brokers, with commas between.', collect, [])
    .addOption(hidden(command, '--broker-opt <OPTS>').argParser(collect).default([]))
    .addOption(
      command
        .createOption('--dump [FILE]', 'Write its KVS to an archive at the end.')
        .preset('flux-{{jobid}}-dump.tgz'),
    )
    .option('-n, --nslots <N>', 'Number of slots.', integer)
    .option('-c, --cores-per-slot <N>', 'Cores of each slot.', integer, 1)
    .option('-g, --gpus-per-slot <N>', 'GPUs of each slot.', integer)
    .option('-N, --nodes <N>', 'Number of nodes that the slots are spread over.', integer)
    .option('-x, --exclusive', 'With --nodes: nothing else runs on them.');
}

export interface NestedSettings {
  /** The initial program of the instance; none is a shell. */
  readonly program: readonly string[];
  /** Options of the brokers beside those of the command line. */
  readonly brokerOptions?: readonly string[];
  /** A script to send along. */
  readonly script?: string;
  readonly stdin?: string | undefined;
}

/**
 * The jobspec of an instance, without what `applyOptions` puts in.
 *
 * @throws FluxError what is wrong with the options
 */
export function nestedJobspec(options: NestedOptions, settings: NestedSettings): Jobspec {
  const { nodes, addBrokers, coresPerSlot, gpusPerSlot } = options;
  const slots = options.nslots || nodes;
  if (!slots) throw new FluxError('EINVAL', 'the number of slots must be given: --nslots or --nodes');
  const exclusive = options.exclusive || !options.nslots;
  const config = instanceConfig(options);
  const brokerOptions = [
    ...[...options.brokerOpts, ...options.brokerOpt].flatMap((text) => text.split(',')),
    ...(options.dump ? [`-Scontent.dump=${options.dump}`] : []).flatMap((text) => text.split(',')),
    ...(settings.brokerOptions ?? []),
    ...(config ? ['-c{{tmpdir}}/conf.json'] : []),
  ];
  const command = ['flux', 'broker', ...brokerOptions, ...settings.program];
  const jobspec = Jobspec.forSlots(command, { slots, cores: coresPerSlot, gpus: gpusPerSlot, nodes, exclusive });
  setBasics(jobspec, options, settings.stdin);
  // One broker on each node, whatever the slots; no MPI, and no end because one of them ends.
  jobspec.setShellOption('per-resource.type', 'node');
  jobspec.setShellOption('mpi', 'none');
  jobspec.setShellOption('exit-timeout', 'none');
  if (config) jobspec.addFile('conf.json', { mode: 0o600, data: config });
  if (settings.script !== undefined)
    jobspec.addFile('script', { mode: 0o700, data: settings.script, encoding: 'utf-8' });
  if (addBrokers > 0) {
    jobspec.setTotalTasks(nodes! + addBrokers);
    jobspec.removeShellOption('per-resource');
  }
  return jobspec;
}

/** Puts the other options into it. */
export function finishNested(jobspec: Jobspec, options: NestedOptions): string {
  const { addBrokers, nodes } = options;
  const taskmap = addBrokers > 0 ? `manual:[[0,1,${1 + addBrokers},1],[1,${nodes! - 1},1,1]]` : undefined;
  applyOptions(jobspec, taskmap === undefined ? options : { ...options, taskmap });
  return jobspec.encode();
}

function instanceConfig({ conf, addBrokers, nodes }: NestedOptions): JsonObject | undefined {
  const config = conf.reduce(addConfig, {});
  if (addBrokers <= 0) return conf.length ? config : undefined;
  if (!nodes) throw new FluxError('EINVAL', '--add-brokers goes only with --nodes');
  // The brokers beside the first of node 0 get no jobs.
  const excluded: JsonValue | undefined = isObject(config.resource) ? config.resource.exclude : undefined;
  const ranks = IdSet.parse(String(excluded ?? '')).union(IdSet.parse(`1-${addBrokers}`));
  return addConfig(config, `resource.exclude=${JSON.stringify(ranks.encode())}`);
}
