/**
 * Shell commands by which an instance gives out what its KVS holds when it ends, and takes it in when it starts: the
 * attributes content.dump and content.restore name the archive. `auto` is one in the folder `dump` of the state directory,
 * with a link RESTORE to it that the next start follows.
 */

/** Reads a broker attribute. */
type Attribute = (name: string) => string | undefined;

/** What rc1 runs before the KVS is loaded; undefined when nothing is to be restored. */
export function restoreScript(attribute: Attribute): string | undefined {
  const file = attribute('content.restore');
  if (file === undefined) return undefined;
  const restore = 'flux restore --sd-notify --quiet --checkpoint --size-limit=100M';
  if (file !== 'auto') return `${restore} ${quoteWord(file)}`;
  const link = quoteWord(`${dumpFolder(attribute)}/RESTORE`);
  return `if test -h ${link}; then ${restore} "$(readlink -f ${link})" && rm ${link}; fi`;
}

/** What rc3 runs once the KVS is removed; undefined when nothing is to be dumped. */
export function dumpScript(attribute: Attribute): string | undefined {
  const file = attribute('content.dump');
  if (file === undefined) return undefined;
  const dump = 'flux dump --sd-notify --quiet --ignore-failed-read --no-cache --checkpoint';
  if (file !== 'auto') return `${dump} ${quoteWord(file)}`;
  const folder = quoteWord(dumpFolder(attribute));
  return `mkdir -p ${folder} && cd ${folder} && f=$(date +%Y%m%d_%H%M%S).tgz && ${dump} "$f" && ln -sf "$f" RESTORE`;
}

function dumpFolder(attribute: Attribute): string {
  return `${attribute('statedir-cleanup') === '0' ? attribute('statedir') : '.'}/dump`;
}

/** A word as the shell takes it back. */
export function quoteWord(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
