import { asFluxError } from '../core/errno.ts';
import type { Handle } from '../core/handle/handle.ts';
import { Kvs } from '../core/handle/kvs.ts';

/** Whether the KVS service is loaded: changes to its store behind its back would get lost. */
export async function isKvsRunning(handle: Handle): Promise<boolean> {
  try {
    await new Kvs(handle).getroot();
    return true;
  } catch (error) {
    return asFluxError(error).code !== 'ENOSYS';
  }
}
