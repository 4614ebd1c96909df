/** What a watch is told, by looking at every root that there was: slow, and simple enough to be right. */

import { FluxError } from '../../../core/errno.ts';
import { LookupFlag } from '../../../core/formats/kvs-flags.ts';
import { type Treeobj, valBytes } from '../../../core/formats/treeobj.ts';
import type { Call } from '../../sim/client.ts';
import { told } from './watching.ts';

const { treeobj, waitcreate, watchAppend, watchFull, watchUniq, initialSentinel } = LookupFlag;

/** A root that a commit made. */
export interface Change {
  readonly root: { readonly rootref: string };
  /** What the commit named. */
  readonly keys: readonly string[];
}

/** Looks a key up in a root; rejects with FluxError when it is something else. */
export type Look = (change: Change, key: string, flags: number) => Promise<Treeobj | undefined>;

export interface Watched {
  readonly call: Call;
  readonly key: string;
  readonly flags: number;
}

/** What a watch is to be told that looked at the first of some roots when it began: as `wasTold` gives it. */
export async function expected(look: Look, watched: Watched, roots: readonly Change[]): Promise<unknown[]> {
  const concerned = roots.filter(
    ({ keys }, index) => index === 0 || watched.flags & watchFull || keys.includes(watched.key),
  );
  return watched.flags & watchAppend ? appended(look, watched, concerned) : values(look, watched, concerned);
}

async function values(look: Look, { key, flags }: Watched, changes: readonly Change[]): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (const change of changes) {
    const found = await lookOrCode(look, change, key, flags);
    if (typeof found === 'string') return [...answers, found];
    if (found === undefined) {
      if (answers.length || !(flags & waitcreate)) return [...answers, 'ENOENT'];
      continue;
    }
    const answer = found.type === 'val' ? valBytes(found).toString() : found;
    const isSame = answers.length > 0 && JSON.stringify(answer) === JSON.stringify(answers.at(-1));
    if (!isSame || !(flags & (watchFull | watchUniq))) answers.push(answer);
  }
  return answers;
}

async function lookOrCode(look: Look, change: Change, key: string, flags: number) {
  try {
    return await look(change, key, flags);
  } catch (error) {
    if (error instanceof FluxError) return error.code;
    throw error;
  }
}

/** The text, with a `-` for the sentinel, and how it ended. */
async function appended(look: Look, { key, flags }: Watched, changes: readonly Change[]): Promise<[string, string]> {
  let text = '';
  let last: string | undefined;
  const sentinel = flags & initialSentinel ? '-' : '';
  for (const [index, change] of changes.entries()) {
    const found = await look(change, key, treeobj);
    if (!found) {
      if (last !== undefined || !(flags & waitcreate)) return [text, 'ENOENT'];
    } else if (last !== undefined && found.type === 'val') return [text, 'EINVAL'];
    else {
      const now = valBytes(await look(change, key, 0)).toString();
      if (!now.startsWith(last ?? '')) return [text, 'EINVAL'];
      text += now.slice(last?.length ?? 0);
      last = now;
    }
    if (index === 0) text += sentinel;
  }
  return [text, ''];
}

/** What a watch was told; pieces of a value as one text, and how it ended. */
export function wasTold({ call, flags }: Watched): unknown[] {
  const answers = told(call);
  if (!(flags & watchAppend)) return answers;
  const end = call.answers.at(-1)?.errnum ? answers.pop() : '';
  return [answers.join(''), end];
}
