/** The shell command by which an instance takes in the crontabs of a folder when it starts: the attribute cron.directory. */

import { quoteWord } from './dump-scripts.ts';

/** What rc1 runs once cron is loaded; undefined when there is no such folder. One that is not there has no files. */
export function crontabScript(attribute: (name: string) => string | undefined): string | undefined {
  const folder = attribute('cron.directory');
  if (folder === undefined) return undefined;
  const load = 'flux cron tab "$f" || { echo "could not load crontab: $f" >&2; exit 1; }';
  return `for f in ${quoteWord(folder)}/*; do if test -f "$f"; then ${load}; fi; done`;
}
