/**
 * One watcher: looks its key up when a commit has changed it, and answers.
 *
 * It looks at one root at a time, in the order of the commits, also where blobs have to be loaded or its reader is slow;
 * other watchers never wait for it. The roots that it has yet to look at are few: when there are more, it looks at the
 * newest only, and answers as often as if it had looked at each.
 */

import { asFluxError, endOfStream, FluxError } from '../../core/errno.ts';
import { blobrefToDigest, makeBlobref } from '../../core/formats/blobref.ts';
import { LookupFlag } from '../../core/formats/kvs-flags.ts';
import { encodeTreeobj, makeVal, type Treeobj, valBytes } from '../../core/formats/treeobj.ts';
import type { Request } from '../../core/handle/methods.ts';
import type { Root } from '../kvs/follower.ts';
import { AppendedValue } from './appended-value.ts';
import { directoriesOf } from './key-index.ts';
import type { Reader } from './reader.ts';
import { type Eventually, type Source, whenThere } from './source.ts';

export interface WatcherHost {
  readonly source: Source;
  /** The watcher has given its last answer. */
  ended(watcher: Watcher): void;
  /** Whether the watcher's path goes through a symbolic link. */
  linked(watcher: Watcher, isLinked: boolean): void;
  /** Resolves after other work of the thread. */
  turn(): Promise<void>;
}

/** A root to look at, and how many commits that is for. */
interface Look {
  root: Root;
  commits: number;
}

/** Roots that a watcher keeps while it is busy. */
const DUE_MAX = 64;

export class Watcher {
  readonly request: Request;
  /** Normalized. */
  readonly key: string;
  readonly flags: number;
  readonly reader: Reader;
  readonly #host: WatcherHost;
  readonly #due: Look[] = [];
  #isBusy = false;
  #hasEnded = false;
  #hasAnswered = false;
  #hasSentinel: boolean;
  // The last answer, of those who want no other like it.
  #previous: Treeobj | undefined;
  // What has been read of a value that is answered in pieces.
  #appended: AppendedValue | undefined;

  constructor(request: Request, key: string, flags: number, reader: Reader, host: WatcherHost) {
    this.request = request;
    this.reader = reader;
    this.key = key;
    this.flags = flags;
    this.#host = host;
    this.#hasSentinel = !this.#wants(LookupFlag.initialSentinel);
  }

  /** Whether a change anywhere on its path concerns it. */
  get isWhole(): boolean {
    return this.#wants(LookupFlag.watchFull);
  }

  /** Whether it waits for its key, or for its namespace, to be there. */
  get isWaiting(): boolean {
    return this.#wants(LookupFlag.waitcreate) && !this.#hasAnswered;
  }

  #wants(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }

  // ---- looking

  /** Looks at a root, when it is done with those before. */
  look(root: Root): void {
    const last = this.#due.at(-1);
    if (last && this.#due.length >= DUE_MAX) {
      last.root = root;
      last.commits++;
    } else this.#due.push({ root, commits: 1 });
    if (!this.#isBusy) this.#run();
    // Whether its path goes through a link in that root is not known yet, and commits go on.
    if (this.#isBusy && this.#looksForLinks) this.#host.linked(this, true);
  }

  #run(): void {
    if (this.reader.isSlow) {
      this.#isBusy = true;
      this.reader.whenReady(() => this.#goOn());
      return;
    }
    for (let look = this.#due.shift(); look && !this.#hasEnded; look = this.#due.shift()) {
      const done = this.#lookAt(look);
      if (!(done instanceof Promise)) continue;
      this.#isBusy = true;
      void done.then(() => this.#goOn());
      return;
    }
  }

  #goOn(): void {
    this.#isBusy = false;
    this.#run();
  }

  /** Never throws and never rejects: what fails ends the watcher. */
  #lookAt({ root, commits }: Look): Eventually<void> {
    const fail = (error: unknown) => this.fail(asFluxError(error));
    try {
      const value = this.#host.source.lookup(root, this.key, this.#lookupFlags, this.request.message);
      const taken = whenThere(value, (treeobj) => this.#take(treeobj, root, commits));
      const done = whenThere(taken, () => this.#findLinks(root));
      return done instanceof Promise ? done.catch(fail) : done;
    } catch (error) {
      fail(error);
    }
  }

  get #lookupFlags(): number {
    return this.#wants(LookupFlag.watchAppend | LookupFlag.stream) ? this.flags | LookupFlag.treeobj : this.flags;
  }

  // ---- answering

  #take(treeobj: Treeobj | undefined, root: Root, commits: number): Eventually<void> {
    if (this.#hasEnded) return;
    if (treeobj === undefined) {
      if (!this.isWaiting) throw new FluxError('ENOENT', `there is no key ${this.key} in namespace ${root.namespace}`);
      this.#sendSentinel();
      return;
    }
    if (this.#wants(LookupFlag.watchAppend | LookupFlag.stream)) {
      return whenThere(this.#takePieces(treeobj, root), () => {
        this.#sendSentinel();
        if (this.#wants(LookupFlag.stream)) this.fail(endOfStream);
      });
    }
    this.#takeValue(treeobj, commits);
  }

  #takeValue(treeobj: Treeobj, commits: number): void {
    if (this.#wants(LookupFlag.watchFull | LookupFlag.watchUniq)) {
      if (this.#previous && isSame(this.#previous, treeobj)) return;
      this.#previous = treeobj;
      this.#answer(treeobj);
    } else for (let i = 0; i < commits; i++) this.#answer(treeobj);
    if (!this.#wants(LookupFlag.watch)) this.#end();
  }

  #takePieces(treeobj: Treeobj, root: Root): Eventually<void> {
    if (this.#appended) {
      if (treeobj.type === 'valref') return this.#appended.read(treeobj.data);
      throw new FluxError('EINVAL', 'value of key watched with WATCH_APPEND overwritten');
    }
    const { source } = this.#host;
    this.#appended = new AppendedValue({
      load: (blobref) => source.load(blobref),
      take: (bytes) => this.#answer(makeVal(bytes)),
      pause: async () => {
        await this.#host.turn();
        await new Promise<void>((resolve) => this.reader.whenReady(resolve));
      },
    });
    switch (treeobj.type) {
      case 'valref':
        return this.#appended.read(treeobj.data);
      case 'val': {
        const bytes = valBytes(treeobj);
        this.#appended.begin(makeBlobref(blobrefToDigest(root.rootref).hash, bytes), bytes.length);
        this.#answer(treeobj);
        return;
      }
      default: {
        const how = this.#wants(LookupFlag.stream) ? 'streamed' : 'watched with WATCH_APPEND';
        throw new FluxError(treeobj.type === 'symlink' ? 'EINVAL' : 'EISDIR', `${treeobj.type} cannot be ${how}`);
      }
    }
  }

  #answer(val: Treeobj): void {
    this.#hasAnswered = true;
    if (!this.#hasEnded) this.request.respond({ val: val });
  }

  /** What is there at first has been told. */
  #sendSentinel(): void {
    if (this.#hasSentinel || this.#hasEnded) return;
    this.#hasSentinel = true;
    this.request.respond();
  }

  // ---- links

  /** Looks for a symbolic link on the path; what is behind one can change without a commit that names the path. */
  #findLinks(root: Root): Eventually<void> {
    if (!this.#looksForLinks) return;
    const followed = this.#wants(LookupFlag.readlink | LookupFlag.treeobj) ? [] : [this.key];
    const paths = [...directoriesOf(this.key).slice(1), ...followed];
    return whenThere(this.#hasLink(root, paths, 0), (hasLink) => {
      if (this.#looksForLinks) this.#host.linked(this, hasLink || this.#due.length > 0);
    });
  }

  get #looksForLinks(): boolean {
    return this.isWhole && this.#host.source.isPrecise && !this.#hasEnded;
  }

  #hasLink(root: Root, paths: readonly string[], first: number): Eventually<boolean> {
    for (let i = first; i < paths.length; i++) {
      const found = this.#host.source.lookup(root, paths[i]!, LookupFlag.treeobj, this.request.message);
      if (found instanceof Promise)
        return found.then((object) => object?.type === 'symlink' || this.#hasLink(root, paths, i + 1));
      if (found?.type === 'symlink') return true;
    }
    return false;
  }

  // ---- ending

  /** Ends it with an answer that says why. */
  fail(error: FluxError): void {
    if (this.#hasEnded) return;
    this.#end();
    this.request.fail(error);
  }

  /** Ends it without an answer. */
  drop(): void {
    if (!this.#hasEnded) this.#end();
  }

  #end(): void {
    this.#hasEnded = true;
    this.#due.length = 0;
    this.#host.ended(this);
  }
}

/** Values with the same text are the same. */
function isSame(a: Treeobj, b: Treeobj): boolean {
  return a === b || (a.type === b.type && encodeTreeobj(a) === encodeTreeobj(b));
}
