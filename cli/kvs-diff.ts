/** `flux kvs diff`: what has changed between two roots. */

import { about, FluxError } from '../core/errno.ts';
import { isBlobref } from '../core/formats/blobref.ts';
import { checkTreeobj } from '../core/formats/treeobj.ts';
import { Content } from '../core/handle/content.ts';
import type { Handle } from '../core/handle/handle.ts';
import { Kvs } from '../core/handle/kvs.ts';
import { parseJson, stringifyJson } from '../core/json.ts';
import { withHandle } from './command.ts';
import { changesBetween, changeToJson, formatChange } from './kvs-changes.ts';
import { aboutKvs, type NamespaceOption, namespaceOption } from './kvs-options.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';
import { type ColorOption, colorOption, painter } from './terminal.ts';

interface Options extends NamespaceOption {
  json?: boolean;
  color?: ColorOption;
}

export const diffCommand: NestedCommand = {
  summary: 'Show what has changed between two roots',
  define: (command) =>
    colorOption(
      namespaceOption(
        command
          .argument('<before>', 'a blobref, a dirref, or the sequence number of a checkpoint')
          .argument('[after]', 'the same; by default the newest root'),
      ),
    )
      .option('--json', 'Print a JSON object for each change.')
      .action((before: string, after: string | undefined, options: Options) =>
        withHandle((handle) => diff(handle, before, after, options)),
      ),
};

async function diff(handle: Handle, before: string, after: string | undefined, options: Options): Promise<void> {
  const paint = painter(options.color);
  const roots = await Promise.all([resolveRoot(handle, before), resolveAfter(handle, after, options.namespace)]);
  for await (const change of changesBetween(handle, ...roots))
    print(options.json ? stringifyJson(changeToJson(change)) : formatChange(change, paint));
}

function resolveAfter(handle: Handle, after: string | undefined, namespace: string | undefined): Promise<string> {
  return after === undefined ? newestRoot(new Kvs(handle, namespace)) : resolveRoot(handle, after);
}

async function newestRoot(kvs: Kvs): Promise<string> {
  const { rootref } = await kvs.getroot().catch((error: unknown) => {
    throw aboutKvs(kvs.namespace, kvs.namespace, error);
  });
  return rootref;
}

/** The blobref of a root as users name it. */
async function resolveRoot(handle: Handle, name: string): Promise<string> {
  if (isBlobref(name)) return name;
  if (name.startsWith('{')) return blobrefOf(name);
  if (!/^\d+$/.test(name))
    throw new FluxError(
      'EINVAL',
      `'${name}' is neither a blobref nor a dirref nor the sequence number of a checkpoint`,
    );
  const checkpoints = await new Content(handle).checkpoints();
  const found = checkpoints.find(({ sequence }) => sequence === Number(name));
  if (found) return found.rootref;
  const known = checkpoints.map(({ sequence }) => sequence).join(', ');
  throw new FluxError('ENOENT', `there is no checkpoint ${name}${known && `; there are ${known}`}`);
}

function blobrefOf(text: string): string {
  try {
    const object = checkTreeobj(parseJson(text));
    if (object.type === 'dirref') return object.data[0]!;
  } catch (error) {
    throw about(text, error);
  }
  throw new FluxError('EINVAL', `${text} is not a dirref`);
}
