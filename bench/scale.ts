/** How much a benchmark does: for figures to keep, for a look in a minute, or only to see that it works. */
export type Scale = 'full' | 'short' | 'tiny';

/** The amount for a scale. */
export function scaled(scale: Scale, full: number, short: number, tiny: number): number {
  return { full, short, tiny }[scale];
}
