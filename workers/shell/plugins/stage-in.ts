/**
 * `-o stage-in`: files of archives in the KVS (flux-archive(1)), into FLUX_JOB_TMPDIR of each rank or to
 * `stage-in.destination`: all (`local:DIR`), or the leader's alone (`global:DIR`).
 */

import { asFluxError, FluxError, strerror } from '../../../core/errno.ts';
import { decodeArchive, describeFile, type FileObject } from '../../../core/formats/archive.ts';
import { globMatcher } from '../../../core/formats/glob.ts';
import { valBytes } from '../../../core/formats/treeobj.ts';
import { Kvs, PRIMARY_NAMESPACE } from '../../../core/handle/kvs.ts';
import { type JsonValue, parseJson } from '../../../core/json.ts';
import { isObject } from '../../../core/message/unpack.ts';
import { LogLevel, type Shell, type ShellPlugin } from '../plugin.ts';
import { extractInto } from './job-files.ts';

const name = 'stage-in';

export interface StageIn {
  /** Names of archives. */
  readonly names: readonly string[];
  /** Only files whose paths match it. */
  readonly pattern: string | undefined;
  /** Undefined: FLUX_JOB_TMPDIR. */
  readonly directory: string | undefined;
  readonly leaderOnly: boolean;
  /** Whether the archives are named by what was the option's member for that. */
  readonly isDeprecated: boolean;
}

export const stageInPlugin: ShellPlugin = {
  name,
  load: (shell) => ({
    async 'shell.init'() {
      const option = shell.option(name);
      if (option === undefined) return;
      const wanted = parseStageIn(option);
      if (wanted.isDeprecated && shell.isLeader) {
        const text = 'Setting stage-in.names to the value of deprecated option stage-in.tags.';
        shell.log(LogLevel.warn, text, name);
      }
      if (!wanted.leaderOnly || shell.isLeader) await stageIn(shell, wanted);
    },
  }),
};

/**
 * Reads the option; anything but an object stands for all defaults.
 *
 * @throws FluxError EINVAL: a member that is not known or no text, a destination of another kind
 */
export function parseStageIn(option: JsonValue): StageIn {
  const { names, tags, pattern, destination, ...unknown } = isObject(option) ? option : {};
  const texts = [names, tags, pattern, destination];
  if (Object.keys(unknown).length || texts.some((text) => text !== undefined && typeof text !== 'string'))
    throw new FluxError('EINVAL', 'Error parsing stage_in shell option');
  const [givenNames, givenTags, givenPattern, place] = texts as (string | undefined)[];
  checkPlace(place);
  const listed = (givenTags ?? givenNames ?? '').split(',').filter((each) => each !== '');
  return {
    names: listed.length ? listed : ['main'],
    pattern: givenPattern,
    directory: place?.replace(/^(local|global):/, ''),
    leaderOnly: place?.startsWith('global:') ?? false,
    isDeprecated: tags !== undefined,
  };
}

function checkPlace(place: string | undefined): void {
  if (place !== undefined && !/^(local:|global:|[^:]*$)/.test(place))
    throw new FluxError('EINVAL', 'destination prefix must be local: or global:');
}

async function stageIn(shell: Shell, { names, pattern, directory }: StageIn): Promise<void> {
  const target = directory ?? shell.getEnv('FLUX_JOB_TMPDIR');
  if (target === undefined) throw new FluxError('ENOENT', 'FLUX_JOB_TMPDIR is not set');
  await checkDirectory(shell, target);
  shell.log(LogLevel.debug, `=> ${target}`, name);
  const { clock } = shell.context;
  const begin = clock.monotonic();
  let count = 0;
  let bytes = 0;
  for (const archive of names) {
    await extractInto(shell, target, matching(await lookup(shell, archive), pattern), (file) => {
      count++;
      bytes += file.size ?? 0;
      shell.log(LogLevel.trace, describeFile(file, true), name);
    });
  }
  const speed = (1e-6 * bytes) / Math.max(clock.monotonic() - begin, 1e-6);
  shell.log(LogLevel.debug, `${count} files ${speed.toFixed(1)}MB/s`, name);
}

async function checkDirectory(shell: Shell, directory: string): Promise<void> {
  try {
    if (!(await shell.files.stat(directory)).isDirectory()) throw new FluxError('ENOTDIR');
  } catch (error) {
    const { errno } = asFluxError(error);
    throw new FluxError(errno, `chdir ${directory}: ${strerror(errno)}`);
  }
}

async function lookup(shell: Shell, archive: string): Promise<FileObject[]> {
  const key = `archive.${archive}`;
  try {
    const value = await new Kvs(shell.context, PRIMARY_NAMESPACE).lookup(key);
    return decodeArchive(parseJson(valBytes(value).toString()));
  } catch (error) {
    const { errno, message } = asFluxError(error);
    throw new FluxError(errno, `could not lookup ${key} in primary KVS namespace: ${message}`);
  }
}

function matching(files: readonly FileObject[], pattern: string | undefined): readonly FileObject[] {
  if (pattern === undefined) return files;
  const matches = globMatcher(pattern);
  return files.filter(({ path }) => matches(path));
}
