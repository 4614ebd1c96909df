import { describeFile, encodeFileObject } from '../core/formats/archive.ts';
import { stringifyJson } from '../core/json.ts';
import { type ArchiveOptions, ArchiveStore, archiveOptions } from './archive-store.ts';
import { withHandle } from './command.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';

interface ListOptions extends ArchiveOptions {
  readonly long?: boolean;
  readonly raw?: boolean;
}

/** `flux archive list [OPTIONS] [PATTERN]` */
export const listCommand: NestedCommand = {
  summary: 'List the files of an archive',
  define: (command) =>
    archiveOptions(command)
      .argument('[pattern]', 'only files whose path matches it')
      .option('-l, --long', 'Show kind, permissions and size.')
      .option('--raw', 'Show the objects as they are in the archive (RFC 37).')
      .action((pattern: string | undefined, options: ListOptions) =>
        withHandle(async (handle) => {
          for (const file of await new ArchiveStore(handle, options).files(pattern))
            print(options.raw ? stringifyJson(encodeFileObject(file)) : describeFile(file, options.long));
        }),
      ),
};
