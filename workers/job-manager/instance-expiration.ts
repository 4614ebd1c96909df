/** When the resources of the instance are taken away: `execution.expiration` of `resource.R`, which a parent may change. */

import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError } from '../../core/errno.ts';
import { LookupFlag } from '../../core/formats/kvs-flags.ts';
import { valBytes } from '../../core/formats/treeobj.ts';
import { Kvs, PRIMARY_NAMESPACE } from '../../core/handle/kvs.ts';
import { type JsonValue, parseJson, Real } from '../../core/json.ts';
import { isObject } from '../../core/message/unpack.ts';

/** Seconds that make a difference. */
const EPSILON = 1e-5;

/**
 * Calls back with the expiration, in seconds since the epoch and 0 when there is none, at first and when it has changed.
 *
 * @returns ends it
 */
export function watchExpiration(context: ServiceContext, changed: (expiration: number) => void): () => void {
  const watch = new Kvs(context, PRIMARY_NAMESPACE).watch('resource.R', LookupFlag.waitcreate);
  let isStopped = false;
  let known: number | undefined;
  const follow = async () => {
    for await (const value of watch) {
      if (isStopped) return;
      const expiration = value && expirationOf(parseJson(Buffer.from(valBytes(value)).toString()));
      if (expiration === undefined) context.log('err', 'the resources of the instance have no expiration');
      else if (known === undefined || Math.abs(expiration - known) >= EPSILON) {
        known = expiration;
        changed(expiration);
      }
    }
  };
  follow().catch((error: unknown) => {
    if (!isStopped) context.log('err', `the expiration of the instance is not known: ${asFluxError(error).message}`);
  });
  return () => {
    isStopped = true;
    watch.cancel();
  };
}

/** The expiration in an R, in seconds since the epoch; undefined when it has none. */
export function expirationOf(R: JsonValue | undefined): number | undefined {
  return timeIn(R, 'expiration');
}

/** When the resources of an R were allocated, in seconds since the epoch; undefined when it does not say. */
export function starttimeOf(R: JsonValue | undefined): number | undefined {
  return timeIn(R, 'starttime');
}

function timeIn(R: JsonValue | undefined, name: string): number | undefined {
  const execution = isObject(R) ? R.execution : undefined;
  const time = isObject(execution) ? execution[name] : undefined;
  return typeof time === 'number' || time instanceof Real ? Number(time) : undefined;
}
