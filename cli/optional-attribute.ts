/** Attributes that a broker may not have. */

import type { FluxError } from '../core/errno.ts';
import type { Handle } from '../core/handle/handle.ts';

/** The value of a broker attribute; undefined when it is not set. */
export function optionalAttribute(handle: Handle, name: string): Promise<string | undefined> {
  return handle.attribute(name).catch((error: FluxError) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}
