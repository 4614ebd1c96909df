/** Files that come with the jobspec (`flux submit --add-file`), into FLUX_JOB_TMPDIR. */

import { decodeArchive, type FileObject } from '../../../core/formats/archive.ts';
import { systemAttributes } from '../../../core/formats/system-attributes.ts';
import { ArchiveExtractor } from '../../../core/handle/archive-extractor.ts';
import { RemoteContent } from '../../content/remote-content.ts';
import { LogLevel, type Shell, type ShellPlugin } from '../plugin.ts';

const name = 'files';

export const jobFilesPlugin: ShellPlugin = {
  name,
  load(shell) {
    const { files } = systemAttributes(shell.jobspec);
    if (files === undefined) return undefined;
    return {
      async 'shell.init'() {
        await extractInto(shell, shell.getEnv('FLUX_JOB_TMPDIR'), decodeArchive(files), (file) => {
          const mode = file.mode.toString(8).padStart(4, '0');
          shell.log(LogLevel.trace, `extracting file ${file.path} size=${file.size ?? -1} mode=${mode}`, name);
        });
      },
    };
  },
};

/** Makes an archive's files in a folder of this rank. */
export function extractInto(
  shell: Shell,
  directory: string | undefined,
  files: readonly FileObject[],
  onFile: (file: FileObject) => void,
): Promise<void> {
  const content = new RemoteContent(shell.context);
  const load = (blobref: string) => content.load(blobref);
  return new ArchiveExtractor({ files: shell.files, directory, load, onFile }).extract(files);
}
