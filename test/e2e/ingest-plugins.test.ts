// Plugins of job-ingest on real threads: what they answer, and that one that goes wrong harms no other.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { errno } from '../../core/errno.ts';
import type { PluginKind, PluginOutcome } from '../../core/handle/ingest-plugin.ts';
import { PluginPool } from '../../workers/job-ingest/plugin-pool.ts';
import { temporaryFolder, until } from './support.ts';

const folder = temporaryFolder();
const pool = new PluginPool();

function write(name: string, text: string): string {
  const file = path.join(folder, name);
  fs.writeFileSync(file, text);
  return file;
}

const plugin = write(
  'plugin.mjs',
  `import process from 'node:process';
   const deeds = {
     fine: () => {},
     throw: () => { throw new Error('not this one'); },
     word: () => { throw 'a word'; },
     errno: () => { throw Object.assign(new Error('too big'), { errno: -27 }); },
     reject: async () => { throw new Error('not later'); },
     args: (job, { args, config }) => { throw new Error([...args, config.x, job.jobspec.half > 0.4].join()); },
     loop: () => { for (;;); },
     memory: () => { for (const all = []; ; ) all.push(new Array(1e5).fill(Math.random())); },
     exit: () => process.exit(3),
     late: () => { setTimeout(() => { throw new Error('late'); }, 1); },
   };
   export const validate = (job, settings) => deeds[job.jobspec.deed](job, settings);
   export function frob({ jobspec }) {
     if (jobspec.deed === 'replace') return { replaced: true };
     if (jobspec.deed === 'nothing') return 5;
     jobspec.seen = jobspec.half + 1;
   }`,
);

function call(
  kind: PluginKind,
  deed: string,
  file = plugin,
  signal = AbortSignal.timeout(30_000),
): Promise<PluginOutcome> {
  const job = `{"jobspec":{"deed":"${deed}","half":0.5,"whole":1.0,"id":12345678901234567890},"userid":0}`;
  return pool.call({ kind, file, job, config: '{"x":7}', args: ['a', 'b'] }, signal);
}

describe('a plugin that validates', () => {
  const rows: [deed: string, errnum: number, errstr?: RegExp][] = [
    ['fine', 0],
    ['throw', errno.EPERM, /^not this one$/],
    ['word', errno.EPERM, /^a word$/],
    ['errno', errno.EFBIG, /^too big$/],
    ['reject', errno.EPERM, /^not later$/],
    ['args', errno.EPERM, /^a,b,7,true$/],
    ['memory', errno.EPROTO, /plugin\.mjs failed: .*memory/],
    ['exit', errno.EPROTO, /plugin\.mjs failed: .*code: 3/],
    ['late', 0],
    ['fine', 0],
  ];
  for (const [deed, errnum, errstr] of rows) {
    test(deed, async () => {
      const outcome = await call('validate', deed);
      assert.equal(outcome.errnum, errnum, outcome.errstr);
      if (errstr) assert.match(outcome.errstr!, errstr);
    });
  }

  test('ends when it takes too long, and others go on meanwhile', async () => {
    const abort = new AbortController();
    const looping = call('validate', 'loop', plugin, abort.signal);
    assert.equal((await call('validate', 'fine')).errnum, 0);
    abort.abort();
    const { errnum, errstr } = await looping;
    assert.equal(errnum, errno.ETIMEDOUT);
    assert.match(errstr!, /plugin\.mjs took too long/);
  });
});

describe('a plugin that changes a jobspec', () => {
  const rest = '"half":0.5,"whole":1.0,"id":12345678901234567890';
  const rows: [deed: string, jobspec: string | undefined][] = [
    ['any', `{"deed":"any",${rest},"seen":1.5}`],
    ['replace', '{"replaced":true}'],
    ['nothing', undefined],
  ];
  for (const [deed, jobspec] of rows) {
    test(deed, async () => {
      const outcome = await call('frob', deed);
      assert.deepEqual([outcome.errnum, outcome.jobspec], [jobspec ? 0 : errno.EINVAL, jobspec]);
    });
  }
});

test('a file that is no plugin is why a job is refused', async () => {
  const rows: [file: string, text: RegExp][] = [
    [path.join(folder, 'missing.mjs'), /no such file/],
    [write('empty.mjs', ''), /does not export a function 'validate'/],
    [write('broken.mjs', 'export const validate = ('), /./],
    [write('throws.mjs', "throw new Error('at once')"), /at once/],
  ];
  for (const [file, text] of rows) {
    const { errnum, errstr } = await call('validate', 'fine', file);
    assert.notEqual(errnum, 0);
    assert.match(errstr!, text);
  }
});

test('a file that has changed is read anew', async () => {
  const file = write('changing.mjs', 'export const validate = () => {};');
  assert.equal((await call('validate', 'fine', file)).errnum, 0);
  write('changing.mjs', "export const validate = () => { throw new Error('changed'); };");
  fs.utimesSync(file, 1, 1);
  assert.equal((await call('validate', 'fine', file)).errstr, 'changed');
});

test('threads that have nothing to do end', async () => {
  await call('validate', 'fine');
  assert.ok(pool.running > 0);
  await until(() => pool.running === 0, 'no thread is left');
});
