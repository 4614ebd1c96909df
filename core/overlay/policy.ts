/**
 * What becomes of ranks whose parent is lost (attribute tbon.policy): they leave, to be started again (`restart`), or they go
 * on below another parent (`rewire`).
 */

import { about, FluxError } from '../errno.ts';
import { parseDuration } from '../formats/duration.ts';

/** The attribute tbon.rewire_timeout where nobody sets it. */
const REWIRE_TIMEOUT = '5s';
const policies = ['restart', 'rewire'] as const;

/** @throws FluxError EINVAL: there is no such policy */
export function checkPolicy(name: string): void {
  if (!policies.some((each) => each === name))
    throw new FluxError('EINVAL', `tbon.policy '${name}' is none of ${policies.join(', ')}`);
}

/**
 * Checks the attributes of the policy, and sets those that nobody has set. `restart` needs none, and flux-core has none.
 *
 * @param attributes all that the ranks of an instance share
 * @throws FluxError EINVAL: there is no such policy, or the time does not parse
 */
export function completePolicy(attributes: Map<string, string | null>): void {
  const policy = attributes.get('tbon.policy') ?? 'restart';
  checkPolicy(policy);
  const timeout = attributes.get('tbon.rewire_timeout') ?? REWIRE_TIMEOUT;
  try {
    parseDuration(timeout);
  } catch (error) {
    throw about('tbon.rewire_timeout', error);
  }
  if (policy === 'rewire') attributes.set('tbon.rewire_timeout', timeout);
}

/**
 * Seconds that ranks may look for another parent; undefined where they may not.
 *
 * @param attribute the value of an attribute that the ranks of an instance share
 */
export function rewireTimeout(attribute: (name: string) => string | undefined): number | undefined {
  return attribute('tbon.policy') === 'rewire' ? parseDuration(attribute('tbon.rewire_timeout')!) : undefined;
}
