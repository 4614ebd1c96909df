/** How much a benchmark does: for figures to keep, for a look in a minute, or only to see that it works. */
export type Scale = 'full' | 'short' | 'tiny';

/** The amount for a scale, or the amounts. */
export function scaled<T>(scale: Scale, full: T, short: T, tiny: T): T {
  return { full, short, tiny }[scale];
}
