/** Runs an instance in this process: one that was asked for, or the one that a launcher makes this process a part of. */

import os from 'node:os';
import { asFluxError } from '../core/errno.ts';
import { Bootstrap, ownCard } from '../core/node/bootstrap.ts';
import { awaitEnd } from '../core/node/follower.ts';
import { FluxNode } from '../core/node/node.ts';
import { tellParent } from '../core/node/parent-instance.ts';
import type { StartOptions } from '../core/node/prepare.ts';

/** Signals that end a broker. */
const deadly = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGALRM'] as const;

/**
 * Runs an instance to its end, and resolves to its exit code.
 *
 * @param started is called when it listens; what it rejects with ends the instance, and is what this rejects with
 */
export async function runNode(settings: StartOptions, started?: (node: FluxNode) => Promise<void>): Promise<number> {
  let node: FluxNode | undefined;
  let early: number | undefined;
  // From now on there are folders to clean up.
  for (const name of deadly)
    process.on(name, () => {
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

/** Runs what a launcher makes this process: rank 0 and with it all others, or one of those that wait for the end. */
export async function runLaunched(settings: StartOptions): Promise<number> {
  const { attributes = {} } = settings;
  const bootstrap = await Bootstrap.open(attributes['broker.boot-method']);
  try {
    const launched = await bootstrap.gather(ownCard(attributes.hostname));
    if (bootstrap.rank > 0) return await awaitEnd(await bootstrap.awaitUri());
    const both = { ...launched, ...settings, attributes: { ...launched.attributes, ...attributes } };
    const { enclosing } = launched;
    return await runNode(both, async (node) => {
      await Promise.all([bootstrap.announce(node.uri), enclosing && tellParent(node.instance, enclosing)]);
    });
  } catch (error) {
    if (bootstrap.rank === 0) await bootstrap.abort(asFluxError(error).message);
    throw error;
  } finally {
    bootstrap.close();
  }
}
