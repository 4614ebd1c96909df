// flux jobtap on a real instance: plugins of files are loaded with their settings, asked, replaced and removed.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { type Instance, startInstance } from './instance.ts';
import { checkRows } from './rows.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-jobtap-test-'));
const file = path.join(folder, 'mine.js');
const broken = path.join(folder, 'broken.js');
const picky = path.join(folder, 'picky.js');
let instance: Instance;

const plugin = (version: number) => `export default {
  start: (context, conf) => ({
    query: () => ({ version: ${version}, conf, owner: context.owner }),
    methods: { hello: { handler: (request) => ({ hello: request.userid }) } },
  }),
};`;

before(async () => {
  fs.writeFileSync(file, plugin(1));
  fs.writeFileSync(broken, 'export default { name: 5 };');
  fs.writeFileSync(picky, `export default { start: (context, conf) => conf.ok ? {} : context.refuse('say ok') };`);
  instance = await startInstance(1);
  const { stdout } = await instance.flux(['module', 'list']);
  if (!stdout.includes('job-manager')) await instance.flux(['module', 'load', 'job-manager']);
});
after(async () => {
  await instance.stop();
  fs.rmSync(folder, { recursive: true });
});

const builtin = '.priority-default\n(\\..*\n)+';
const query = (version: number, conf: string) =>
  new RegExp(
    `^{"name":"mine.js","path":"${file}","version":${version},"conf":${conf},"owner":${process.getuid!()}}\n$`,
  );

test('a plugin of a file is loaded, asked, replaced when the file is another, and removed', async () => {
  await checkRows(instance, [
    { args: ['jobtap', 'list'], stdout: '' },
    { args: ['jobtap', 'list', '-a'], stdout: new RegExp(`^${builtin}$`) },
    { args: ['jobtap', 'load', file, 'a.b=1', 'c=x'] },
    { args: ['jobtap', 'list'], stdout: 'mine.js\n' },
    { args: ['jobtap', 'query', 'mine.js'], stdout: query(1, '{"a":{"b":1},"c":"x"}') },
    { args: ['jobtap', 'load', file], stderr: /mine\.js already loaded/, exit: 1 },
  ]);
  fs.writeFileSync(file, plugin(2));
  await checkRows(instance, [
    { args: ['jobtap', 'load', '--remove=mine.js', file], stdout: '' },
    { args: ['jobtap', 'query', 'mine.js'], stdout: query(2, '{}') },
    { args: ['jobtap', 'load', '-r', 'all', 'submit-hold.so'], stdout: '' },
    { args: ['jobtap', 'list'], stdout: 'submit-hold.so\n' },
    { args: ['jobtap', 'remove', 'submit-*'], stdout: '' },
    { args: ['jobtap', 'list', '--all'], stdout: new RegExp(`^${builtin}$`) },
  ]);
});

test('what is no plugin, or will not start, is refused and leaves nothing behind', () =>
  checkRows(instance, [
    {
      args: ['jobtap', 'load', broken],
      stderr: /a plugin exports by default an object with a start function/,
      exit: 1,
    },
    { args: ['jobtap', 'load', path.join(folder, 'nosuch.js')], stderr: /nosuch\.js: No such file/i, exit: 1 },
    { args: ['jobtap', 'load', 'nosuch.so'], stderr: /nosuch\.so/, exit: 1 },
    { args: ['jobtap', 'load', picky], stderr: /say ok/, exit: 1 },
    { args: ['jobtap', 'query', 'picky.js'], stderr: /picky\.js: plugin not found/, exit: 1 },
    { args: ['jobtap', 'load', picky, 'ok=true'] },
    { args: ['jobtap', 'remove', 'picky.js'] },
    { args: ['jobtap', 'remove', 'picky.js'], stderr: /picky\.js: Failed to find plugin to remove/, exit: 1 },
    { args: ['jobtap', 'list'], stdout: '' },
  ]));
