/** Users as the system's user database knows them. */

import { getAddon } from './addon.ts';

export interface User {
  readonly name: string;
  /** Names of all groups that the user is a member of. */
  readonly groups: readonly string[];
}

/** The user with a number; undefined when there is none, and without the addon. */
export function findUser(uid: number): User | undefined {
  const [name, ...groups] = getAddon()?.findUser(uid) ?? [];
  return name === undefined ? undefined : { name, groups };
}
