/** `flux archive extract`: gets files out of an archive in the KVS. */

import fs from 'node:fs/promises';
import { Option } from 'commander';
import { describeFile, type FileObject } from '../core/formats/archive.ts';
import { ArchiveExtractor } from '../core/handle/archive-extractor.ts';
import { Content } from '../core/handle/content.ts';
import type { Handle } from '../core/handle/handle.ts';
import {
  type ArchiveOptions,
  ArchiveStore,
  archiveOptions,
  directoryOption,
  enterDirectory,
  verboseOption,
} from './archive-store.ts';
import { duration, withHandle } from './command.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';

export interface ExtractOptions extends ArchiveOptions {
  readonly directory?: string;
  readonly verbose?: number;
  readonly overwrite?: boolean;
  /** Seconds. */
  readonly waitcreate?: number;
  readonly listOnly?: boolean;
}

/** `flux archive extract [OPTIONS] [PATTERN]` */
export const extractCommand: NestedCommand = {
  summary: 'Get files out of an archive',
  define: (command) =>
    verboseOption(directoryOption(archiveOptions(command)))
      .argument('[pattern]', 'only files whose path matches it')
      .option('--overwrite', 'Replace files that are there.')
      .addOption(
        new Option('--waitcreate [DURATION]', 'Wait for the archive, at most so long.')
          .preset('infinity')
          .argParser(duration),
      )
      .option('-t, --list-only', 'List the files, and get none.')
      .action((pattern: string | undefined, options: ExtractOptions) =>
        withHandle(async (handle) => {
          enterDirectory(options.directory);
          const files = await new ArchiveStore(handle, options).files(pattern, options.waitcreate);
          if (options.listOnly) for (const file of files) print(describeFile(file, !!options.verbose));
          else await extract(handle, options, files);
        }),
      ),
};

function extract(handle: Handle, { overwrite, verbose }: ExtractOptions, files: readonly FileObject[]): Promise<void> {
  const content = new Content(handle);
  return new ArchiveExtractor({
    files: fs,
    overwrite,
    load: (blobref) => content.load(blobref),
    onFile: ({ path }) => {
      if (verbose) console.error(path);
    },
  }).extract(files);
}
