/** The jobs of each user, the newest first: what `flux job last` asks for. */

import { slicePositions } from '../../../core/formats/slice.ts';
import { Role } from '../../../core/message/credentials.ts';
import type { JobRecord } from '../job.ts';
import type { JobtapPlugin } from '../plugin.ts';

interface Entry {
  readonly id: bigint;
  readonly tSubmit: number;
  isGone: boolean;
}

/** Jobs by the time of their submission; those that are gone are taken out many at once. */
class Submissions {
  #entries: Entry[] = [];
  #gone = 0;

  add(entry: Entry): void {
    const entries = this.#entries;
    const last = entries.at(-1);
    if (last && last.tSubmit > entry.tSubmit) {
      const position = entries.findLastIndex(({ tSubmit }) => tSubmit <= entry.tSubmit);
      entries.splice(position + 1, 0, entry);
    } else entries.push(entry);
  }

  remove(entry: Entry): void {
    entry.isGone = true;
    this.#gone++;
    if (this.#gone * 2 > this.#entries.length) this.#compact();
  }

  #compact(): void {
    if (this.#gone) this.#entries = this.#entries.filter(({ isGone }) => !isGone);
    this.#gone = 0;
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** @throws FluxError EINVAL: it is no slice */
  slice(text: string): bigint[] {
    this.#compact();
    const { length } = this.#entries;
    return slicePositions(text, length).map((position) => this.#entries[length - 1 - position]!.id);
  }
}

export const history: JobtapPlugin = {
  name: '.history',
  start() {
    const byUser = new Map<number, Submissions>();
    const byId = new Map<bigint, Entry>();

    function add({ id, userid, tSubmit }: JobRecord): undefined {
      if (byId.has(id)) return;
      const entry = { id, tSubmit, isGone: false };
      byId.set(id, entry);
      let submissions = byUser.get(userid);
      if (!submissions) {
        submissions = new Submissions();
        byUser.set(userid, submissions);
      }
      submissions.add(entry);
    }

    return {
      new: add,
      inactiveAdd: add,
      inactiveRemove({ id, userid }) {
        const entry = byId.get(id);
        const submissions = byUser.get(userid);
        if (!entry || !submissions) return;
        byId.delete(id);
        submissions.remove(entry);
        if (submissions.isEmpty) byUser.delete(userid);
      },
      methods: {
        get: {
          allow: Role.user,
          handler(request) {
            const { slice } = request.unpack({ slice: 's' });
            return { jobs: (byUser.get(request.userid) ?? new Submissions()).slice(slice) };
          },
        },
      },
    };
  },
};
