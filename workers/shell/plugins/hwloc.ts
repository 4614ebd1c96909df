/**
 * `-o hwloc.xmlfile`: the machine's topology in a file, so that tasks need not look for it; `hwloc.restrict` leaves out
 * what they may not use.
 */

import { about, FluxError } from '../../../core/errno.ts';
import type { JsonValue } from '../../../core/json.ts';
import { isObject } from '../../../core/message/unpack.ts';
import { hwloc } from '../../../native/index.ts';
import { LogLevel, type Shell, type ShellPlugin } from '../plugin.ts';

const name = 'hwloc';
const variable = 'HWLOC_XMLFILE';

export const hwlocPlugin: ShellPlugin = {
  name,
  load: (shell) => ({
    async 'shell.post-init'() {
      const option = shell.option(name) ?? {};
      if (!isObject(option)) throw new FluxError('EINVAL', 'failed to unpack hwloc options');
      const isRestricted = isSet(option.restrict);
      if (isSet(option.xmlfile)) await writeXml(shell, isRestricted);
    },
  }),
};

function isSet(value: JsonValue | undefined): boolean {
  if (value === undefined || value === false || value === 0) return false;
  if (value === true || (typeof value === 'number' && Number.isInteger(value))) return true;
  throw new FluxError('EINVAL', 'failed to unpack hwloc options');
}

async function writeXml(shell: Shell, isRestricted: boolean): Promise<void> {
  const known = await topologyOf(shell);
  const xml = isRestricted ? restrict(known) : known;
  const file = `${shell.getEnv('FLUX_JOB_TMPDIR') ?? '/tmp'}/hwloc.xml`;
  try {
    await shell.files.writeFile(file, xml, { flag: 'wx', mode: 0o640 });
  } catch (error) {
    throw about(`failed to write ${variable}`, error);
  }
  shell.log(LogLevel.debug, `Writing ${Buffer.byteLength(xml)} bytes to ${variable}=${file}`, name);
  if (shell.getEnv(variable) === undefined) shell.setEnv(variable, file);
  // It would have the other one ignored.
  shell.setEnv('HWLOC_COMPONENTS', undefined);
}

/** hwloc's description of this rank's machine. */
async function topologyOf(shell: Shell): Promise<string> {
  const answer = await shell.context.request('resource.topo-get').next();
  if (answer.errnum) throw answer.error();
  return Buffer.from(answer.bytes ?? [])
    .toString()
    .replace(/\0$/, '');
}

function restrict(xml: string): string {
  const restricted = hwloc({ xml });
  if (!restricted) throw new FluxError('ENOSYS', 'failed to restrict topology xml: there is no libhwloc');
  return restricted.xml;
}
