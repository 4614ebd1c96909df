/** The owner's jobs may bring resources of their own, `attributes.system.alloc-bypass.R`: no scheduler is asked. */

import { asFluxError, FluxError } from '../../../core/errno.ts';
import { encodeFluid } from '../../../core/formats/fluid.ts';
import { resourceSetFromJson } from '../../../core/formats/resource-json.ts';
import { Kvs, PRIMARY_NAMESPACE } from '../../../core/handle/kvs.ts';
import { KvsTransaction } from '../../../core/handle/kvs-transaction.ts';
import type { JsonObject } from '../../../core/json.ts';
import { isObject } from '../../../core/message/unpack.ts';
import { type ActiveJob, systemAttribute } from '../job.ts';
import type { JobtapContext, JobtapPlugin } from '../plugin.ts';

/** The resources that a jobspec brings; undefined: none. */
function resourcesIn(jobspec: JsonObject): JsonObject | undefined {
  const bypass = systemAttribute(jobspec, 'alloc-bypass');
  if (bypass === undefined) return undefined;
  const R = isObject(bypass) ? bypass.R : undefined;
  if (R === undefined && isObject(bypass)) return undefined;
  if (!isObject(R)) throw new FluxError('EINVAL', 'invalid system.alloc-bypass.R: it is not an object');
  try {
    resourceSetFromJson(R);
  } catch (error) {
    throw new FluxError('EINVAL', `alloc-bypass: invalid R: ${asFluxError(error).message}`);
  }
  return R;
}

async function allocate(context: JobtapContext, job: ActiveJob, R: JsonObject): Promise<void> {
  try {
    const transaction = new KvsTransaction().putJson(`${encodeFluid(job.id, 'kvs')}.R`, R);
    await new Kvs(context.service, PRIMARY_NAMESPACE).commit(transaction);
    context.post(job, 'alloc', { bypass: true });
  } catch (error) {
    if (!context.active(job.id)) return;
    context.raise(job, 'alloc', 0, `failed to commit R to kvs: ${asFluxError(error).message}`);
  }
}

export const allocBypass: JobtapPlugin = {
  start: (context) => ({
    validate(job, jobspec) {
      if (resourcesIn(jobspec) === undefined) return;
      if (job.userid !== context.owner) throw new FluxError('EINVAL', 'Guest user cannot use alloc bypass');
      if (!job.bypassesAlloc) context.setFlag(job, 'alloc-bypass');
    },
    state: {
      sched(job) {
        const R = job.bypassesAlloc ? resourcesIn(job.jobspec) : undefined;
        if (!R) return undefined;
        void allocate(context, job, R);
        return { R };
      },
    },
  }),
};
