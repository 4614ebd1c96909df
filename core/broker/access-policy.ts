/**
 * Who may connect to an instance and with which roles (RFC 12): [access] of the configuration.
 *
 *     [access]
 *     allow-guest-user = true
 *     allow-root-owner = true
 *     roles.admin.users = ["alice"]
 *     roles.admin.groups = ["staff"]
 */

import { FluxError } from '../errno.ts';
import type { JsonObject } from '../json.ts';
import { unpackTable } from '../message/unpack.ts';

export interface AccessPolicy {
  readonly allowGuestUser: boolean;
  readonly allowRootOwner: boolean;
  /** Guests by name, and groups of guests, that have the admin role. */
  readonly admins: { readonly users: readonly string[]; readonly groups: readonly string[] };
}

export const closedAccess: AccessPolicy = {
  allowGuestUser: false,
  allowRootOwner: false,
  admins: { users: [], groups: [] },
};

/**
 * The [access] table of a configuration.
 *
 * @throws FluxError EINVAL: a key or a role that does not exist, or a value of the wrong type
 */
export function accessPolicy(config: JsonObject): AccessPolicy {
  const access = unpackTable(config, 'access', {
    'allow-guest-user': 'b?',
    'allow-root-owner': 'b?',
    'private-mode': 'b?',
    roles: 'o?',
  });
  for (const role of Object.keys(access.roles ?? {}))
    if (role !== 'admin') throw new FluxError('EINVAL', `unknown role '${role}' in [access.roles]`);
  const { users, groups } = unpackTable(config, 'access.roles.admin', { users: 'a?', groups: 'a?' });
  return {
    allowGuestUser: access['allow-guest-user'] ?? false,
    allowRootOwner: access['allow-root-owner'] ?? false,
    admins: { users: names('users', users), groups: names('groups', groups) },
  };
}

function names(key: string, values: readonly unknown[] = []): readonly string[] {
  if (!values.every((value) => typeof value === 'string'))
    throw new FluxError('EINVAL', `error parsing [access.roles.admin] configuration: ${key} must be a string array`);
  return values;
}
