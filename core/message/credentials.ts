/**
 * Message credentials and roles (RFC 12): who sent a message, and what that lets them do.
 */

/** Role bits of a rolemask. */
export const Role = {
  none: 0,
  /** The instance owner: passes every check. */
  owner: 1,
  /** An authenticated guest. */
  user: 2,
  /** Sent on the rank that received it; taken off when the message reaches another rank. */
  local: 4,
  admin: 8,
  all: 0xffffffff,
} as const;

/** The userid of a message that nobody has stamped yet. */
export const USERID_UNKNOWN = 0xffffffff;

export interface Credentials {
  readonly userid: number;
  readonly rolemask: number;
}

export const UNKNOWN_CREDENTIALS: Credentials = { userid: USERID_UNKNOWN, rolemask: Role.none };

/** Whether a rolemask passes an allow mask; the owner passes every one (RFC 12, Service Security Policy). */
export function isAllowed(rolemask: number, allow: number): boolean {
  return (rolemask & (allow | Role.owner)) !== 0;
}

/**
 * The credentials a message gets when it enters over a local connection (RFC 12, Credential Assignment).
 *
 * The owner may name another user or another role himself: each is kept when it is set. What a guest names is replaced.
 */
export function assignCredentials(named: Credentials, peer: Credentials): Credentials {
  if ((peer.rolemask & Role.owner) === 0) return peer;
  return {
    userid: named.userid === USERID_UNKNOWN ? peer.userid : named.userid,
    rolemask: named.rolemask === Role.none ? peer.rolemask : named.rolemask,
  };
}
