/** What is told of jobs' resources. Many jobs have the same ones: what was read of them is remembered. */

import { resourceSetFromJson } from '../../core/formats/resource-json.ts';
import { type JsonObject, type JsonValue, Real } from '../../core/json.ts';
import { isObject } from '../../core/message/unpack.ts';

export interface ResourceSummary {
  readonly nnodes: number;
  readonly ncores: number;
  readonly ranks: string;
  readonly nodelist: string | undefined;
}

const REMEMBERED_MAX = 1000;
/** Resources with a longer text are unlikely to come twice. */
const LENGTH_MAX = 512;

export class ResourceSummaries {
  readonly #known = new Map<string, ResourceSummary>();

  /** @throws FluxError EINVAL: what is wrong in R */
  get(R: JsonValue | undefined): ResourceSummary {
    const key = keyOf(R);
    const known = key === undefined ? undefined : this.#known.get(key);
    if (known) return known;
    const set = resourceSetFromJson(R);
    const { ranks, nodelist } = set;
    const summary = {
      nnodes: ranks.count,
      ncores: set.count('core'),
      ranks: ranks.encode({ brackets: true }),
      nodelist: nodelist?.encode(),
    };
    if (key !== undefined && key.length <= LENGTH_MAX) {
      if (this.#known.size >= REMEMBERED_MAX) this.#known.clear();
      this.#known.set(key, summary);
    }
    return summary;
  }
}

/** The text of all that a summary depends on; undefined where that is not known. */
function keyOf(R: JsonValue | undefined): string | undefined {
  const { version, execution } = isObject(R) ? R : ({} as JsonObject);
  if (!isObject(execution)) return undefined;
  const { starttime, expiration, ...rest } = execution;
  if (![starttime, expiration].every(isTime)) return undefined;
  try {
    return JSON.stringify([version, rest]);
  } catch {
    return undefined;
  }
}

function isTime(value: JsonValue | undefined): boolean {
  return value === undefined || typeof value === 'number' || value instanceof Real;
}

/** When the resources of an R that was read are to be given back, in seconds since the epoch; 0: never. */
export function expirationOf(R: JsonValue | undefined): number {
  const { execution } = R as { readonly execution: { readonly expiration?: number | Real } };
  return Math.max(Number(execution.expiration ?? 0), 0);
}
