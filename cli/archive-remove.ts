import { FluxError } from '../core/errno.ts';
import { type ArchiveOptions, ArchiveStore, archiveOptions } from './archive-store.ts';
import { withHandle } from './command.ts';
import type { NestedCommand } from './nested.ts';

interface RemoveOptions extends ArchiveOptions {
  readonly force?: boolean;
}

/** `flux archive remove [OPTIONS]` */
export const removeCommand: NestedCommand = {
  summary: 'Remove an archive',
  define: (command) =>
    archiveOptions(command)
      .option('-f, --force', 'It is no error when there is none.')
      .action((options: RemoveOptions) =>
        withHandle(async (handle) => {
          const store = new ArchiveStore(handle, options);
          if (!options.force && !(await store.exists())) throw new FluxError('ENOENT', `${store.key} does not exist`);
          await store.remove();
        }),
      ),
};
