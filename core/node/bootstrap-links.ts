/**
 * How the hosting processes of an instance find each other, by the interface of whoever launched them: each puts where it
 * listens, all enter a barrier, and each reads where those are that it connects to.
 */

import { KEY_BYTES, makeKeyPair } from '../formats/certificate.ts';
import { type JsonObject, parseJson, stringifyJson } from '../json.ts';
import { unpack } from '../message/unpack.ts';
import type { MachineFacts, Placement } from '../overlay/placement.ts';
import { beside } from '../overlay/ring-way.ts';
import type { Pmi } from '../pmi/pmi.ts';
import type { LaunchPlan } from './launch-plan.ts';
import type { StartOptions } from './prepare.ts';
import { ZmqWires } from './zmq-wires.ts';

const nodeKey = (node: number) => `flux.node.${node}`;
const SECRET_KEY = 'flux.secret';
/** What values of it begin with, so that nobody shows them. */
const SECRET = 'secret:';

/** What links are made with. */
export interface LinkWishes {
  /** Host part of an address by which other machines reach this one. */
  readonly address: () => string;
  /** Whether processes on one machine speak TCP, too. */
  readonly prefersTcp: boolean;
  readonly machine: MachineFacts;
  /** Seconds: tbon.tcp_user_timeout, tbon.connect_timeout. */
  readonly timeout: number;
  readonly connectTimeout: number;
  /** The processes that this one connects to. */
  parents(placement: Placement, size: number): readonly number[];
  log(text: string): void;
}

/** What an instance of several processes is started with, beside what one of one process is. */
export type Linked = Pick<StartOptions, 'links' | 'shared'>;

/** Puts what the processes know each other by, before the barrier that the plan is read after. */
export async function putSecret(pmi: Pmi): Promise<void> {
  const { publicKey, secretKey } = makeKeyPair();
  await pmi.put(SECRET_KEY, SECRET + Buffer.concat([publicKey, secretKey]).toString('hex'));
}

/** A line of the interface that may be shown. */
export function withoutSecret(line: string): string {
  return line.replace(new RegExp(`${SECRET}\\S+`), `${SECRET}…`);
}

/**
 * Tells the other hosting processes where this one is, and learns the same of them; all processes call it, those that host
 * nothing without `wishes`.
 *
 * @throws FluxError what listening fails with, or the interface
 */
export async function linkProcesses(pmi: Pmi, plan: LaunchPlan, node: number, wishes?: LinkWishes): Promise<Linked> {
  if (plan.nodes.length === 1) return {};
  if (!wishes) {
    await pmi.barrier();
    return {};
  }
  const address = isLocal(plan, wishes) ? undefined : wishes.address();
  const wires = await makeWires(pmi, address, wishes);
  try {
    const ownUri = await listen(pmi, wires, plan.instanceId, node, address);
    await pmi.barrier();
    const { shared, ...found } = await findOthers(pmi, plan, node, wishes);
    return { shared, links: { wires, ownUri, machine: wishes.machine, ...found } };
  } catch (error) {
    // They would keep a process that has nothing else to do.
    wires.close();
    throw error;
  }
}

/** Whether nobody outside this machine has to reach the processes. */
function isLocal({ nodes }: LaunchPlan, { prefersTcp }: LinkWishes): boolean {
  return !prefersTcp && process.platform === 'linux' && nodes.every(({ machine }) => machine === nodes[0]!.machine);
}

async function makeWires(pmi: Pmi, address: string | undefined, wishes: LinkWishes): Promise<ZmqWires> {
  const { timeout, connectTimeout, log } = wishes;
  const secret = Buffer.from((await pmi.get(SECRET_KEY)).slice(SECRET.length), 'hex');
  return new ZmqWires({
    certificate: { publicKey: secret.subarray(0, KEY_BYTES), secretKey: secret.subarray(KEY_BYTES) },
    timeout,
    connectTimeout,
    // An address in brackets is of IPv6.
    ipv6: address?.startsWith('[') ?? false,
    log,
  });
}

/**
 * Resolves to where this process takes connections.
 *
 * @param address undefined: only processes of this machine connect
 */
async function listen(
  pmi: Pmi,
  wires: ZmqWires,
  instanceId: string,
  node: number,
  address: string | undefined,
): Promise<string> {
  // Without a folder, which nobody has to remove.
  const bindUri = (what: string) =>
    address === undefined ? `ipc://@flux-${instanceId}-${what}` : `tcp://${address}:*`;
  const uri = await wires.bind(bindUri(String(node)));
  const feed = node === 0 ? await wires.bindFeed(bindUri('feed')) : undefined;
  await pmi.put(nodeKey(node), stringifyJson({ uri, ...(feed !== undefined && { feed }) }));
  return uri;
}

async function findOthers(
  pmi: Pmi,
  { nodes, instanceId, startTime, size }: LaunchPlan,
  node: number,
  wishes: LinkWishes,
) {
  const placement = { own: node, nodes: nodes.map(({ ranks }) => ({ ranks })) };
  const uris = new Map<number, string>();
  const otherUris = new Map<number, string>();
  let feedUri: string | undefined;
  const parents = wishes.parents(placement, size);
  const next = beside(node, 'next', nodes.length);
  for (const other of new Set(node === 0 ? [next] : [0, ...parents, next])) {
    const card = parseJson(await pmi.get(nodeKey(other))) as JsonObject;
    const { uri, feed } = unpack(card, { uri: 's', feed: 's?' });
    (parents.includes(other) ? uris : otherUris).set(other, uri);
    feedUri ??= feed;
  }
  return {
    shared: {
      instanceId,
      startTime,
      placement,
      processesHere: nodes.filter(({ machine }) => machine === nodes[node]!.machine).length,
    },
    uris,
    otherUris,
    feedUri,
    ringUri: uris.get(next) ?? otherUris.get(next),
  };
}
