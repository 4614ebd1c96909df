/** `flux ping`: how long a service takes to answer, and the way there. */

import { about, FluxError } from '../core/errno.ts';
import { parseSize } from '../core/formats/size.ts';
import type { Handle } from '../core/handle/handle.ts';
import type { JsonObject } from '../core/json.ts';
import { NODEID_ANY, NODEID_UPSTREAM } from '../core/message/message.ts';
import { count, duration, runCommand, subcommand, withHandle } from './command.ts';
import { fetchHosts, rankOf, requireRank } from './hosts.ts';
import { print } from './print.ts';
import { askByRing } from './ring.ts';

interface Options {
  rank?: string;
  pad: string;
  interval: number;
  count: number;
  batch?: boolean;
  userid?: boolean;
  ring?: boolean;
}

/** Who is asked, and what it is called. */
interface Target {
  readonly nodeid: number;
  readonly topic: string;
  /** The first line of the output. */
  readonly title: string;
  /** Whether the debug ring leads there, not the tree. */
  readonly byRing: boolean;
}

/** What a service adds to the request. */
interface Answer {
  readonly pad: string;
  readonly route: string;
  readonly userid: number;
  readonly rolemask: number;
  readonly rank: number;
}

/** `flux ping [OPTIONS] TARGET` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand('ping', 'Measure how long a service takes to answer.')
    .argument('<target>', 'a service, RANK!service or HOST!service; a rank or host alone is its broker')
    .option('-r, --rank <RANK>', 'Ask the service of this rank or host, or any, or upstream.')
    .option('-p, --pad <SIZE>', 'Send this many more bytes, and get them back.', '0')
    .option('-i, --interval <DURATION>', 'Time from one request to the next.', duration, 1)
    .option('-c, --count <N>', 'Requests to send; 0 is no end.', count, 0)
    .option('-b, --batch', 'Show the answers when all requests are sent.')
    .option('-u, --userid', 'Show the userid and the roles that the service sees.')
    .option('--ring', 'Reach the rank by the ring of processes, past the tree.')
    .action((target: string, options: Options) => withHandle((handle) => ping(handle, target, options)));
  return runCommand(command, args);
}

async function ping(handle: Handle, text: string, options: Options): Promise<void> {
  if (options.batch && !options.count) throw new FluxError('EINVAL', '--batch is for use with --count');
  if (options.rank !== undefined && text.includes('!'))
    throw new FluxError('EINVAL', 'the rank is given twice, in the target and with --rank');
  const pad = 'p'.repeat(parseSize(options.pad));
  const byRing = options.ring ?? false;
  const target = await findTarget(handle, options.rank === undefined ? text : `${options.rank}!${text}`, byRing);
  print(target.title);
  const pacer = new Pacer(options.interval);
  const answers: Promise<string | undefined>[] = [];
  for (let sequence = 0; !options.count || sequence < options.count; sequence++) {
    await pacer.turn(sequence);
    const line = ask(handle, target, sequence, pad, options.userid ?? false);
    const answer = options.batch ? line : line.then((text) => void print(text));
    answer.catch((error: unknown) => pacer.fail(error));
    if (options.count) answers.push(answer);
  }
  for (const line of await Promise.all(answers)) if (typeof line === 'string') print(line);
}

/** Gives each request its turn, until an answer fails. */
class Pacer {
  readonly #start = performance.now();
  readonly #intervalMs: number;
  #failure: unknown;
  #wake = () => {};

  constructor(intervalSeconds: number) {
    this.#intervalMs = intervalSeconds * 1000;
  }

  async turn(sequence: number): Promise<void> {
    const wait = sequence && this.#start + sequence * this.#intervalMs - performance.now();
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      // A turn of the loop even where no time is left, for answers to come in.
      if (wait > 0) setTimeout(resolve, wait);
      else setImmediate(resolve);
    });
    if (this.#failure) throw this.#failure;
  }

  fail(error: unknown): void {
    this.#failure ??= error;
    this.#wake();
  }
}

/** Sends one request; resolves to what there is to show of its answer. */
async function ask(handle: Handle, target: Target, seq: number, pad: string, userid: boolean): Promise<string> {
  const { nodeid, topic, byRing } = target;
  const start = process.hrtime();
  const request = { seq, 'time.tv_sec': start[0], 'time.tv_nsec': start[1], pad };
  const asked = byRing ? pingByRing(handle, target, request) : handle.rpc<Answer>(topic, request, { nodeid });
  const answer = await asked.catch((error: unknown) => {
    throw about(prefixOf(nodeid) + topic, error);
  });
  const [seconds, nanoseconds] = process.hrtime(start);
  if (answer.pad !== pad) throw new FluxError('EPROTO', `${topic}: the padding did not come back as it was sent`);
  const credentials = userid ? ` userid=${answer.userid} rolemask=0x${(answer.rolemask >>> 0).toString(16)}` : '';
  const time = (seconds * 1000 + nanoseconds / 1e6).toFixed(3);
  return `${answer.rank}!${topic} pad=${pad.length}${credentials} seq=${seq} time=${time} ms (${answer.route})`;
}

/** The route is the processes that the request came by. */
async function pingByRing(handle: Handle, { nodeid, topic }: Target, request: JsonObject): Promise<Answer> {
  const { payload, way } = await askByRing<Answer>(handle, nodeid, topic, request);
  return { ...payload, route: way.join('!') };
}

function prefixOf(nodeid: number): string {
  if (nodeid === NODEID_ANY) return '';
  return nodeid === NODEID_UPSTREAM ? 'upstream!' : `${nodeid}!`;
}

async function findTarget(handle: Handle, text: string, byRing: boolean): Promise<Target> {
  const bang = text.indexOf('!');
  const node = bang < 0 ? text : text.slice(0, bang);
  const found = await findNode(handle, node, bang >= 0);
  const service = bang >= 0 ? text.slice(bang + 1) : found ? 'broker' : text;
  const { nodeid, name } = found ?? { nodeid: NODEID_ANY, name: 'any' };
  if (byRing && nodeid >= NODEID_UPSTREAM)
    throw new FluxError('EINVAL', `--ring wants a rank or a host, and '${text}' names none`);
  const isHost = nodeid < NODEID_UPSTREAM && name !== String(nodeid);
  return {
    nodeid,
    byRing,
    topic: `${service}.ping`,
    title: `flux-ping ${name}!${service}${isHost ? ` (rank ${nodeid})` : ''}`,
  };
}

/** @param isRequired whether the text has to be a node: it may be a service otherwise */
async function findNode(
  handle: Handle,
  text: string,
  isRequired: boolean,
): Promise<{ nodeid: number; name: string } | undefined> {
  if (text === 'any') return { nodeid: NODEID_ANY, name: text };
  if (text === 'upstream') return { nodeid: NODEID_UPSTREAM, name: text };
  const hosts = await fetchHosts(handle);
  const rank = isRequired ? requireRank(text, hosts) : rankOf(text, hosts);
  if (rank === undefined) return undefined;
  return { nodeid: rank, name: hosts.has(text) ? text : String(rank) };
}
