/** `flux hostlist`: lists of hosts (RFC 29) from the instance, jobs and the command line, put together. */

import { FluxError } from '../core/errno.ts';
import { parseFluid } from '../core/formats/fluid.ts';
import { Hostlist } from '../core/formats/hostlist.ts';
import { IdSet } from '../core/formats/idset.ts';
import { parseResourceSet } from '../core/formats/resource-json.ts';
import { Handle } from '../core/handle/handle.ts';
import { type JsonObject, stringifyJson } from '../core/json.ts';
import { Exit, PYTHON_USAGE_ERROR, reader, runCommand, subcommand } from './command.ts';
import { fetchHosts } from './hosts.ts';
import { fetchJob } from './job-fetch.ts';
import { type ListOptions, listOptions, positionsOf, printResult, readLines } from './list-tool.ts';
import { print } from './print.ts';

interface Options extends ListOptions {
  find?: Hostlist;
  exclude?: Hostlist;
  sort?: boolean;
  union?: boolean;
  unique?: boolean;
  fallback?: boolean;
  local?: boolean;
}

const hostlistOf = reader((text) => Hostlist.parse(text));

const sourcesHelp = `
Sources:
  instance    the hosts of the instance
  JOBID       the hosts of a job
  local       those of the job around, or else of the instance
  avail       those of \`local' that are neither down nor drained
  stdin, -    standard input (the default)
  HOSTLIST    these hosts`;

/** `flux hostlist [OPTIONS] [SOURCE…]` */
export function run(args: readonly string[]): Promise<number> {
  const command = listOptions(
    subcommand('hostlist', 'Put lists of hosts together, and show what comes of it.'),
    'hosts',
  )
    .argument('[sources...]', 'where lists come from; see below')
    .option('-F, --find <HOSTLIST>', 'Show the positions of these hosts.', hostlistOf)
    .option('-x, --exclude <HOSTLIST>', 'Leave these hosts out, or those at these positions.', hostlistOf)
    .option('-S, --sort', 'Sort the hosts.')
    .option('-u, --union', 'Show each host once, sorted.')
    .option('--unique', 'The same.')
    .option('-f, --fallback', 'What looks like a job id, but is none of a job, is a host.')
    .option('-l, --local', "Take `local' when there is no source.")
    .addHelpText('after', sourcesHelp)
    .action((sources: string[], options: Options) => hostlist(sources, options));
  return runCommand(command, args, PYTHON_USAGE_ERROR);
}

async function hostlist(sources: readonly string[], options: Options): Promise<void> {
  const lists = await resolveAll(sources.length ? sources : [options.local ? 'local' : 'stdin'], options);
  let hosts = exclude(combine(lists, options), options.exclude);
  if (options.sort) hosts = hosts.sort();
  if (options.union || options.unique) hosts = hosts.uniq();
  const positions = positionsOf(hosts.count, options);
  if (positions) hosts = hosts.pick(positions);
  if (options.find === undefined) {
    printResult(hosts, hosts.encode(), options);
    return;
  }
  const found = hosts.index(options.find);
  if (options.quiet) throw new Exit(hosts.count ? 0 : 1);
  print(found.join(' '));
}

function combine(lists: readonly Hostlist[], { intersect, minus, xor }: Options): Hostlist {
  if (intersect) return lists.reduce((all, list) => filter(all, (host) => list.has(host)).uniq());
  if (minus) return lists.reduce((all, list) => all.delete(list));
  if (xor)
    return lists.reduce((all, list) =>
      filter(all, (host) => !list.has(host))
        .append(filter(list, (host) => !all.has(host)))
        .uniq(),
    );
  return lists.reduce((all, list) => all.append(list), Hostlist.empty);
}

function filter(hosts: Hostlist, test: (host: string, position: number) => boolean): Hostlist {
  return Hostlist.from(hosts.expand().filter(test));
}

/** Without hosts, wherever they are in the list; or, when none of them is in it, without those at positions. */
function exclude(hosts: Hostlist, doomed: Hostlist | undefined): Hostlist {
  if (doomed === undefined) return hosts;
  const rest = filter(hosts, (host) => !doomed.has(host));
  if (rest.count < hosts.count) return rest;
  try {
    const positions = IdSet.parse(doomed.encode());
    return filter(hosts, (_, position) => !positions.has(position));
  } catch {
    return hosts;
  }
}

// ---- sources

async function resolveAll(sources: readonly string[], options: Options): Promise<Hostlist[]> {
  // Only opened when a source needs it.
  let opened: Promise<Handle> | undefined;
  const handle = (): Promise<Handle> => {
    opened ??= Handle.open();
    return opened;
  };
  try {
    return await Promise.all(sources.map((source) => resolve(source, handle, options.fallback ?? false)));
  } finally {
    await opened?.then((open) => open.close()).catch(() => {});
  }
}

async function resolve(source: string, handle: () => Promise<Handle>, fallback: boolean): Promise<Hostlist> {
  switch (source) {
    case 'stdin':
    case '-':
      return (await readLines()).reduce((all, line) => all.append(Hostlist.parse(line.trimEnd())), Hostlist.empty);
    case 'instance':
      return fetchHosts(await handle());
    case 'local':
      return local(await handle());
    case 'avail':
    case 'available':
      return available(await handle());
    default:
      return isJobId(source) ? hostsOfJob(await handle(), source, fallback) : Hostlist.parse(source);
  }
}

function isJobId(text: string): boolean {
  try {
    parseFluid(text);
    return true;
  } catch {
    return false;
  }
}

function local(handle: Handle): Promise<Hostlist> {
  const jobid = process.env.FLUX_JOB_ID;
  return jobid === undefined ? fetchHosts(handle) : hostsOfJob(handle, jobid, false);
}

async function hostsOfJob(handle: Handle, text: string, fallback: boolean): Promise<Hostlist> {
  try {
    const { nodelist = '' } = await fetchJob(handle, text, ['nodelist']);
    return Hostlist.parse(String(nodelist));
  } catch (error) {
    const { code } = error as FluxError;
    // Where nobody knows of jobs, there are none.
    if (code !== 'ENOENT' && code !== 'ENOSYS') throw error;
    if (fallback) return Hostlist.parse(text);
    throw new FluxError('ENOENT', `there is no job ${text}`);
  }
}

interface ResourceStatus {
  readonly R: JsonObject;
  readonly drain: Readonly<Record<string, unknown>>;
  readonly exclude: string;
  readonly offline: string;
  readonly torpid?: string;
}

async function available(handle: Handle): Promise<Hostlist> {
  const [hosts, status] = await Promise.all([
    local(handle),
    handle.rpc<ResourceStatus>('resource.status', undefined, { nodeid: 0 }),
  ]);
  const { R, drain, exclude, offline, torpid = '' } = status;
  const away = [...Object.keys(drain), exclude, offline, torpid].map((ranks) => IdSet.parse(ranks));
  const ranks = away.reduce((left, each) => left.difference(each), parseResourceSet(stringifyJson(R)).ranks);
  return hosts.pick(ranks);
}
