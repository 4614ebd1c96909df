/**
 * What becomes of ranks whose parent is lost (attribute tbon.policy): they leave, to be started again (`restart`), or they go
 * on below another parent (`rewire`).
 */

import { about, FluxError } from '../errno.ts';
import { parseDuration } from '../formats/duration.ts';

/** The attribute tbon.rewire_timeout where nobody sets it. */
export const REWIRE_TIMEOUT = '5s';
const policies = ['restart', 'rewire'] as const;

/** @throws FluxError EINVAL: there is no such policy */
export function checkPolicy(name: string): void {
  if (!policies.some((each) => each === name))
    throw new FluxError('EINVAL', `tbon.policy '${name}' is none of ${policies.join(', ')}`);
}

/**
 * Seconds that ranks may look for another parent; undefined where they may not.
 *
 * @param attribute the value of an attribute
 * @throws FluxError EINVAL: an attribute that says how does not parse
 */
export function rewireTimeout(attribute: (name: string) => string | undefined): number | undefined {
  const policy = attribute('tbon.policy') ?? 'restart';
  checkPolicy(policy);
  try {
    const seconds = parseDuration(attribute('tbon.rewire_timeout') ?? REWIRE_TIMEOUT);
    return policy === 'rewire' ? seconds : undefined;
  } catch (error) {
    throw about('tbon.rewire_timeout', error);
  }
}
