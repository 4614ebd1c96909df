/** Plugins that make folders and files: the job's folder, files that come with the job or from archives, hwloc's XML. */

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { FluxError } from '../../../core/errno.ts';
import { encodeContent } from '../../../core/formats/archive.ts';
import { makeBlobref } from '../../../core/formats/blobref.ts';
import { makeVal } from '../../../core/formats/treeobj.ts';
import type { JsonObject } from '../../../core/json.ts';
import { hwlocPlugin } from '../../../workers/shell/plugins/hwloc.ts';
import { jobFilesPlugin } from '../../../workers/shell/plugins/job-files.ts';
import { JobFolders } from '../../../workers/shell/plugins/job-folders.ts';
import { stageInPlugin } from '../../../workers/shell/plugins/stage-in.ts';
import { tmpdirPlugin } from '../../../workers/shell/plugins/tmpdir.ts';
import { until } from '../../e2e/support.ts';
import { temporaryFolder } from '../native/support.ts';
import { FakeShell } from './shell.ts';

const folder = temporaryFolder();
const inside = (...names: string[]) => path.join(folder, ...names);

test('the folder of a job is in that of the broker, and goes with the shell', async () => {
  const shell = await new FakeShell({ rank: 3, attributes: { rundir: folder } }).load(tmpdirPlugin);
  const made = inside('jobtmp-3-fj');
  assert.equal(path.dirname(shell.getEnv('FLUX_JOB_TMPDIR')!), folder);
  const own = shell.getEnv('FLUX_JOB_TMPDIR')!;
  assert.match(own, /jobtmp-3-f[1-9A-HJ-NP-Za-km-z]+$/);
  assert.equal(fs.statSync(own).mode & 0o777, 0o700);
  assert.equal(shell.hooks.tags?.tmpdir?.({ node: shell.node, task: undefined }), own);
  fs.writeFileSync(path.join(own, 'left'), 'x');
  await shell.hooks['shell.exit']?.();
  shell.agenda.step();
  await until(() => !fs.existsSync(own), 'it is removed');
  shell.hooks.destroy?.();
  assert.equal(fs.existsSync(made), false);
});

for (const [what, change, isReused] of [
  ['an empty folder', () => {}, true],
  ['a folder with files', (own: string) => fs.writeFileSync(path.join(own, 'left'), 'x'), false],
  ['a folder that others may read', (own: string) => fs.chmodSync(own, 0o755), false],
  ['a folder that is gone', (own: string) => fs.rmdirSync(own), false],
] as const) {
  test(`${what} is ${isReused ? '' : 'not '}that of the next job`, async () => {
    const { agenda, context, files } = new FakeShell();
    const folders = new JobFolders({ context, files });
    const [first, second, third] = ['first', 'second', 'third'].map((name) => inside(`${what} ${name}`)) as [
      string,
      string,
      string,
    ];
    folders.make(first, 100);
    const { ino } = fs.statSync(first);
    const keeper = fs.openSync(first, 'r');
    change(first);
    folders.discard(first, 100);
    folders.make(third, 101);
    folders.make(second, 100);
    assert.equal(fs.statSync(second).ino === ino, isReused);
    assert.notEqual(fs.statSync(third).ino, ino, 'that of another user never is');
    assert.deepEqual([fs.readdirSync(second), fs.statSync(second).mode & 0o777], [[], 0o700]);
    agenda.step();
    await until(() => !fs.existsSync(first), 'it is removed or renamed');
    fs.closeSync(keeper);
  });
}

test('it is in TMPDIR where the folder of the broker is not to be had; TMPDIR is made', async () => {
  const env = { TMPDIR: inside('tmp') };
  const shell = await new FakeShell({ env, attributes: { rundir: '/no/such' } }).load(tmpdirPlugin);
  assert.equal(path.dirname(shell.getEnv('FLUX_JOB_TMPDIR')!), env.TMPDIR);
  await shell.hooks['shell.exit']?.();
});

test('a TMPDIR that cannot be made gives way to /tmp', async () => {
  const shell = await new FakeShell({ env: { TMPDIR: '/no/such/folder' } }).load(tmpdirPlugin);
  assert.equal(shell.getEnv('TMPDIR'), '/tmp');
  assert.match(shell.getEnv('FLUX_JOB_TMPDIR')!, /^\/tmp\/jobtmp-0-/);
  assert.deepEqual(shell.logged, ['4 tmpdir: Unable to create TMPDIR=/no/such/folder, resetting TMPDIR=/tmp']);
  await shell.hooks['shell.exit']?.();
});

const REGULAR = 0o100644;

function file(name: string, text: string): JsonObject {
  return { path: name, ...encodeContent(Buffer.from(text)), size: text.length, mode: REGULAR };
}

test('files of the jobspec are made in the folder of the job', async () => {
  const target = fs.mkdtempSync(inside('files-'));
  const script = { ...file('bin/script', '#!/bin/sh\n'), mode: 0o100755 };
  const jobspec = { attributes: { system: { files: [file('plain', 'ü'), script] } } };
  const shell = await new FakeShell({ jobspec, env: { FLUX_JOB_TMPDIR: target } }).load(jobFilesPlugin);
  assert.equal(fs.readFileSync(path.join(target, 'plain'), 'utf8'), 'ü');
  assert.equal(fs.statSync(path.join(target, 'bin/script')).mode & 0o111, 0o111);
  assert.match(shell.logged[0]!, /^7 files: extracting file plain size=1 mode=100644$/);
  assert.deepEqual((await new FakeShell().load(jobFilesPlugin)).hooks, {});
});

const blob = Buffer.from('from the content store');
const blobref = makeBlobref('sha1', blob);
const archives: Record<string, JsonObject[]> = {
  'archive.main': [
    file('a.txt', 'a'),
    file('sub/b.c', 'b'),
    { path: 'big', mode: REGULAR, size: blob.length, encoding: 'blobvec', data: [[0, blob.length, blobref]] },
    { path: 'link', mode: 0o120777, data: 'a.txt' },
  ],
  'archive.other': [file('other.txt', 'o')],
  'archive.bad': [file('../out', 'x')],
};

function staging(options: JsonObject, rank = 0): FakeShell {
  return new FakeShell({
    rank,
    options: { 'stage-in': options },
    env: { FLUX_JOB_TMPDIR: fs.mkdtempSync(inside('stage-')) },
    answers: {
      'kvs.lookup': (payload) => {
        const archive = archives[(payload as JsonObject).key as string];
        if (!archive) throw new FluxError('ENOENT');
        return { val: { ...makeVal(Buffer.from(JSON.stringify(archive))) } };
      },
      'content.load': () => blob,
    },
  });
}

test('archives are staged in, whole or what matches', async () => {
  const all = await staging({}).load(stageInPlugin);
  const target = all.getEnv('FLUX_JOB_TMPDIR')!;
  assert.deepEqual(fs.readdirSync(target).sort(), ['a.txt', 'big', 'link', 'sub']);
  assert.equal(fs.readFileSync(path.join(target, 'big'), 'utf8'), String(blob));
  assert.equal(fs.readFileSync(path.join(target, 'link'), 'utf8'), 'a');
  assert.ok(
    all.logged.some((line) => /^6 stage-in: 4 files [\d.]+MB\/s$/.test(line)),
    all.logged.join(),
  );
  const some = await staging({ names: 'main,other', pattern: '*.txt' }).load(stageInPlugin);
  assert.deepEqual(fs.readdirSync(some.getEnv('FLUX_JOB_TMPDIR')!).sort(), ['a.txt', 'other.txt']);
});

test('a destination of all is filled by the leader alone', async () => {
  const target = fs.mkdtempSync(inside('global-'));
  await staging({ names: 'other', destination: `global:${target}` }, 1).load(stageInPlugin);
  assert.deepEqual(fs.readdirSync(target), []);
  await staging({ tags: 'other', destination: `global:${target}` }).load(stageInPlugin);
  assert.deepEqual(fs.readdirSync(target), ['other.txt']);
});

const failures: [options: JsonObject, code: string, message: RegExp][] = [
  [
    { names: 'nosuch' },
    'ENOENT',
    /^could not lookup archive.nosuch in primary KVS namespace: No such file or directory$/,
  ],
  [{ destination: '/no/such' }, 'ENOENT', /^chdir \/no\/such: No such file or directory$/],
  [{ names: 'bad' }, 'EINVAL', /leads out of the folder/],
];

for (const [options, code, message] of failures) {
  test(`staging fails: ${JSON.stringify(options)}`, async () => {
    await assert.rejects(() => staging(options).load(stageInPlugin), { code, message });
  });
}

test("hwloc's XML is written for the tasks", async () => {
  const make = (options: JsonObject, env: Record<string, string> = {}) =>
    new FakeShell({
      options: { hwloc: options },
      env: { FLUX_JOB_TMPDIR: fs.mkdtempSync(inside('hwloc-')), HWLOC_COMPONENTS: 'x86', ...env },
      answers: { 'resource.topo-get': () => Buffer.from('<topology/>\0') },
    }).load(hwlocPlugin);
  const shell = await make({ xmlfile: 1 });
  await shell.hooks['shell.post-init']?.();
  const written = shell.getEnv('HWLOC_XMLFILE')!;
  assert.equal(written, `${shell.getEnv('FLUX_JOB_TMPDIR')}/hwloc.xml`);
  assert.equal(fs.readFileSync(written, 'utf8'), '<topology/>');
  assert.equal(shell.getEnv('HWLOC_COMPONENTS'), undefined);
  await assert.rejects(async () => shell.hooks['shell.post-init']?.(), { code: 'EEXIST' });
  const kept = await make({ xmlfile: 1 }, { HWLOC_XMLFILE: '/mine' });
  await kept.hooks['shell.post-init']?.();
  assert.equal(kept.getEnv('HWLOC_XMLFILE'), '/mine');
  const none = await make({});
  await none.hooks['shell.post-init']?.();
  assert.equal(none.getEnv('HWLOC_XMLFILE'), undefined);
  await assert.rejects(async () => (await make({ xmlfile: 'yes' })).hooks['shell.post-init']?.(), { code: 'EINVAL' });
});
