/** Runs an instance in this process: one that was asked for, or the one that a launcher makes this process a part of. */

import fs from 'node:fs';
import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { asFluxError, FluxError } from '../core/errno.ts';
import type { JsonObject } from '../core/json.ts';
import { Bootstrap, type Launched, ownCard } from '../core/node/bootstrap.ts';
import type { BootstrapConfig } from '../core/node/bootstrap-config.ts';
import type { LinkWishes } from '../core/node/bootstrap-links.ts';
import { configuredHosts, configuredStart } from '../core/node/configured-start.ts';
import { awaitEnd, leaveSignals } from '../core/node/follower.ts';
import { tbonAttribute, tbonSeconds } from '../core/node/instance-attributes.ts';
import { FluxNode } from '../core/node/node.ts';
import { ownAddress } from '../core/node/own-address.ts';
import { tellParent } from '../core/node/parent-instance.ts';
import { type StartOptions, treeOf } from '../core/node/prepare.ts';
import { parentNodes } from '../core/overlay/placement.ts';
import type { Pmi } from '../core/pmi/pmi.ts';
import { countCoresAndGpus } from '../native/index.ts';
import { Exit } from './command.ts';

/** Time for a launcher to read what a process says. */
const READ_MS = 100;
/** Signals that end a broker. */
const deadly = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGALRM'] as const;

/** Has these signals taken by `take`, and no more by who took them before. None is lost between the two. */
export function takeSignals(take: (name: (typeof deadly)[number]) => void): void {
  for (const name of deadly) {
    const before = process.listeners(name);
    process.on(name, take);
    for (const listener of before) process.off(name, listener);
  }
}

/**
 * Runs an instance to its end, and resolves to its exit code.
 *
 * @param started is called when it listens; what it rejects with ends the instance, and is what this rejects with
 */
export async function runNode(settings: StartOptions, started?: (node: FluxNode) => Promise<void>): Promise<number> {
  let node: FluxNode | undefined;
  let early: number | undefined;
  // From now on there are folders to clean up.
  takeSignals((name) => {
    const signum = os.constants.signals[name];
    if (node) node.signal(signum);
    else early = signum;
  });
  node = await FluxNode.start(settings);
  if (early !== undefined) node.signal(early);
  try {
    // It may end before all have heard of it.
    await Promise.race([started?.(node), node.exited]);
  } catch (error) {
    node.signal(os.constants.signals.SIGTERM);
    await node.exited;
    throw error;
  }
  return node.exited;
}

/** What a launched process is to its launcher. */
export interface LaunchOptions {
  /** Ranks that it stands for; one when absent. */
  readonly ranks?: number;
  /** Whether it hosts them itself, even where another process of its machine could. */
  readonly alone?: boolean;
  /** By what it finds the others; what the environment offers when absent. */
  readonly pmi?: Pmi;
  /** Is told of the part of the instance that this process hosts, once it is there. */
  readonly started?: (node: FluxNode) => void;
}

/**
 * Runs what a launcher makes this process: one that hosts ranks, or one that waits for the end of the one that does.
 *
 * @param command that says why it cannot
 */
export async function runLaunched(
  command: string,
  settings: StartOptions,
  { ranks = 1, alone = false, pmi, started }: LaunchOptions,
): Promise<number> {
  const { attributes = {}, config = {} } = settings;
  const method = attributes['broker.boot-method'];
  const configured = pmi ? undefined : configuredHosts(config, method);
  if (configured) {
    if (ranks > 1 || alone)
      throw new FluxError('EINVAL', '--ranks and --alone do not go with [bootstrap], by which each host has one rank');
    return runConfigured(configured, settings);
  }
  const bootstrap = pmi ? new Bootstrap(pmi, process.env) : await Bootstrap.open(method);
  try {
    const launched = await bootstrap.gather(ownCard(attributes.hostname, ranks, !alone), settings);
    if (!launched.isHost) {
      const isThere = leaveSignals();
      await bootstrap.link(launched);
      const uri = await bootstrap.awaitUri(launched);
      isThere();
      return await awaitEnd(uri);
    }
    return await runHost(bootstrap, launched, settings, started);
  } catch (error) {
    if (bootstrap.size === 1) throw error;
    fs.writeSync(2, `${command}: ${asFluxError(error).message}\n`);
    // Launchers kill this process, too, and drop what they have not read then.
    await sleep(READ_MS);
    await bootstrap.abort(asFluxError(error).message);
    throw new Exit(1);
  } finally {
    bootstrap.close();
  }
}

/** Runs the rank that the configuration gives to this host. */
async function runConfigured(bootstrap: BootstrapConfig, settings: StartOptions): Promise<number> {
  const { attributes = {}, config = {} } = settings;
  const { machine, timeout, connectTimeout, log } = linkWishes(attributes, config);
  const start = await configuredStart({ bootstrap, config, attributes, machine, timeout, connectTimeout, log });
  return runNode({ ...settings, ...start });
}

async function runHost(
  bootstrap: Bootstrap,
  launched: Launched,
  settings: StartOptions,
  started: LaunchOptions['started'],
): Promise<number> {
  const { options } = launched;
  const attributes = { ...options.attributes, ...settings.attributes };
  const linked = await bootstrap.link(launched, linkWishes(attributes, settings.config ?? {}));
  return runNode({ ...options, ...settings, ...linked, attributes }, async (node) => {
    started?.(node);
    const isLeader = node.plan.firstRank === 0;
    await Promise.all([
      bootstrap.announce(launched, node.uri),
      isLeader && options.enclosing && tellParent(node.instance, options.enclosing),
    ]);
  });
}

function linkWishes(attributes: Readonly<Record<string, string>>, config: JsonObject): LinkWishes {
  const set = new Map(Object.entries(attributes));
  const get = (name: string) => tbonAttribute(name, set, config);
  return {
    address: () => ownAddress(get('interface-hint')),
    prefersTcp: get('prefertcp') !== '0',
    machine: { hostname: attributes.hostname ?? os.hostname(), ...countCoresAndGpus() },
    timeout: tbonSeconds('tcp_user_timeout', set, config),
    connectTimeout: tbonSeconds('connect_timeout', set, config),
    parents: (placement, size) => parentNodes(placement, treeOf(set, config, placement, size).topology),
    log: (text) => console.error(`flux-broker: ${text}`),
  };
}
