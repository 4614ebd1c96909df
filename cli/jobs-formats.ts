/** The output formats that `flux jobs` and `flux pgrep` have by name. */

import { loadFormats, type NamedFormats, type ToolConfig } from './named-formats.ts';

const START = '{id.f58:>12} ?:{queue:<8.8} +:{username:<8} {name:<10.10+}';
const CONTEXT = '{contextual_time!F:>8h} {contextual_info}';
const LONG = `${START} {status:>9.9} {ntasks:>6} {nnodes:>6h} {t_submit!d:%b%d %R::>12} {t_remaining!F:>12h} ${CONTEXT}`;
const BRIEF = `${START} {status_abbrev:>2.2} {ntasks:>6} {nnodes:>6h} ${CONTEXT}`;

const deps = {
  description: 'Show job urgency, priority, and dependencies',
  format: '{id.f58:>12} ?:{queue:<8.8} {name:<10.10+} {urgency:<3} {priority:<12} {state:<8.8} {dependencies}',
};

const ofJobs: NamedFormats = {
  default: { description: 'Default flux-jobs format string', format: BRIEF },
  cute: {
    description: 'Cute flux-jobs format string (default with emojis)',
    format: `${START} {status_emoji:>5.5} {ntasks:>6} {nnodes:>6h} ${CONTEXT}`,
  },
  long: { description: 'Extended flux-jobs format string', format: LONG },
  deps,
  endreason: {
    description: 'Show why each job ended',
    format: `${START} {status_abbrev:>2.2} {t_inactive!d:%b%d %R::>12h} {inactive_reason}`,
  },
};

/** What `flux pgrep` shows without a format: an id on each line, and no heading. */
export const PGREP_DEFAULT = '{id.f58}';

const ofPgrep: NamedFormats = {
  default: { description: 'Default flux-pgrep format string', format: PGREP_DEFAULT },
  full: { description: 'full flux-pgrep format string', format: BRIEF },
  long: { description: 'Extended flux-pgrep format string', format: LONG },
  deps,
};

/** The formats of `flux jobs`. */
export function jobsFormats(): ToolConfig {
  return loadFormats('flux-jobs', ofJobs);
}

/** The formats of `flux pgrep`, which has its own from the files of `flux jobs`, too. */
export function pgrepFormats(): ToolConfig {
  return loadFormats('flux-jobs', ofPgrep, { program: 'flux-pgrep' });
}
