/** How job ids are written for people: with `ƒ` where what is written may hold more than ASCII. */

/** Whether what is written may hold more than ASCII: the `ƒ` before a job id. */
export function isUtf8Locale({
  env,
}: {
  readonly env: Readonly<Record<string, string | undefined>>;
} = process): boolean {
  if (env.FLUX_F58_FORCE_ASCII !== undefined) return false;
  return /\.utf-?8\b/i.test(env.LC_ALL || env.LC_CTYPE || env.LANG || '');
}
