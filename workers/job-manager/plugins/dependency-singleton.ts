/**
 * Dependency `singleton`: a job waits while its user has other active jobs of its name, unless those wait in the same
 * way (RFC 26).
 */

import { FluxError } from '../../../core/errno.ts';
import { JobState } from '../../../core/formats/job-state.ts';
import type { JsonValue } from '../../../core/json.ts';
import { isObject } from '../../../core/message/unpack.ts';
import { type ActiveJob, systemAttribute } from '../job.ts';
import type { JobtapHooks, JobtapPlugin } from '../plugin.ts';

const DESCRIPTION = 'singleton';

/** The active jobs of one user and name. */
interface Namesakes {
  /** Those that wait, the first to be released first. */
  readonly waiting: Set<ActiveJob>;
  /** All others. */
  readonly others: Set<ActiveJob>;
}

/** What namesakes have in common; undefined: the job has no name. */
function keyOf(job: ActiveJob): string | undefined {
  const settings = systemAttribute(job.jobspec, 'job');
  const name = isObject(settings) ? settings.name : undefined;
  return typeof name === 'string' ? `${job.userid}:${name}` : undefined;
}

export const dependencySingleton: JobtapPlugin = {
  name: '.dependency-singleton',
  start(context) {
    const byKey = new Map<string, Namesakes>();

    function namesakes(key: string): Namesakes {
      const known = byKey.get(key);
      if (known) return known;
      const none = { waiting: new Set<ActiveJob>(), others: new Set<ActiveJob>() };
      byKey.set(key, none);
      return none;
    }

    /** The next one may go on when all that there are wait. */
    function release({ waiting, others }: Namesakes): void {
      const [next] = waiting;
      if (!next || others.size) return;
      waiting.delete(next);
      others.add(next);
      context.removeDependency(next, DESCRIPTION);
    }

    function forget(job: ActiveJob): void {
      const key = keyOf(job);
      const all = key === undefined ? undefined : byKey.get(key);
      if (!all || !(all.others.delete(job) || all.waiting.delete(job))) return;
      release(all);
      if (all.waiting.size + all.others.size === 0) byKey.delete(key!);
    }

    return {
      dependency: {
        singleton(job) {
          const key = keyOf(job);
          if (key === undefined) throw new FluxError('EINVAL', 'singleton jobs require a job name');
          const isBack = job.state !== JobState.new;
          if (!(isBack ? job.dependencies.has(DESCRIPTION) : byKey.has(key))) return;
          const all = namesakes(key);
          all.waiting.add(job);
          if (!isBack) context.addDependency(job, DESCRIPTION);
          // Jobs come back one after another, and the one that this waits for may be still to come.
          else context.service.clock.after(0, () => byKey.get(key) === all && release(all));
        },
      },
      new(job) {
        const key = keyOf(job);
        if (key === undefined) return undefined;
        const all = namesakes(key);
        if (!all.waiting.has(job)) all.others.add(job);
        return undefined;
      },
      state: {
        inactive(job) {
          forget(job);
          return undefined;
        },
      },
      destroy: forget,
      query: () =>
        Object.fromEntries(
          Array.from(byKey, ([key, { waiting, others }]): [string, JsonValue] => [
            key,
            { count: waiting.size + others.size, singletons: Array.from(waiting, (job) => job.id) },
          ]),
        ),
    } satisfies JobtapHooks;
  },
};
