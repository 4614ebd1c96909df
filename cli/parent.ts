import { Handle } from '../core/handle/handle.ts';

/** Points FLUX_URI at the instance that encloses this one, `levels` up, or as far as there is one. */
export async function enterParent(levels: number): Promise<void> {
  for (let i = 0; i < levels; i++) {
    const handle = await Handle.open();
    try {
      const parent = await handle.attribute('parent-uri').catch(() => undefined);
      if (!parent) return;
      process.env.FLUX_URI = parent;
      const namespace = await handle.attribute('parent-kvs-namespace').catch(() => undefined);
      if (namespace) process.env.FLUX_KVS_NAMESPACE = namespace;
      else delete process.env.FLUX_KVS_NAMESPACE;
    } finally {
      await handle.close();
    }
  }
}
