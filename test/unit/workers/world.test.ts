import assert from 'node:assert/strict';
import { test } from 'node:test';
import { getAddon } from '../../../native/addon.ts';
import type { ProcessUsage } from '../../../native/process.ts';
import { realWorld } from '../../../workers/world.ts';

test('a program tells what it has used when it ends', { skip: !getAddon() }, async () => {
  const usage = await new Promise<ProcessUsage | undefined>((resolve) =>
    realWorld.spawn(
      { argv: ['/bin/true'], env: [], stdio: ['null', 'null', 'null'] },
      { data: () => {}, exit: (_status, usage) => resolve(usage) },
    ),
  );
  assert.ok(usage && usage.maxrss > 0);
});
