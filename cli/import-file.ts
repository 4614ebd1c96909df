import { createRequire } from 'node:module';

/** Imports a module by its URL; `import` itself would not, see `bin/import.cjs`. */
export function importFile(url: string): Promise<unknown> {
  const load = createRequire(import.meta.url)('../bin/import.cjs') as (url: string) => Promise<unknown>;
  return load(url);
}
