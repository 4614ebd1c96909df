// flux fsck and flux gc: what is lost or damaged is found and taken out, and what is garbage goes.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { DatabaseSync } from '@photostructure/sqlite';
import { Content } from '../../core/handle/content.ts';
import { Kvs } from '../../core/handle/kvs.ts';
import { type Instance, startInstance } from './instance.ts';
import { checkRows } from './rows.ts';
import { temporaryFolder, withHandle } from './support.ts';

const statedir = temporaryFolder();
let instance: Instance;
before(async () => {
  instance = await startInstance(1, [`-Sstatedir=${statedir}`]);
});
after(() => instance.stop());

/** The words of a shell command's output; it must succeed. */
async function shell(script: string): Promise<string> {
  const outcome = await instance.shell(`set -e -o pipefail\n${script}`, { cwd: statedir });
  assert.equal(outcome.exit, 0, JSON.stringify(outcome));
  return outcome.stdout.trim();
}

const unload = () => shell('flux module remove kvs-watch; flux module remove kvs');
const load = () => shell('flux module load kvs; flux module load kvs-watch');

const nothing = `sha1-${'0'.repeat(40)}`;
const lost = (type: string) => JSON.stringify({ data: [nothing], type, ver: 1 });
const heading = /^Checking integrity of checkpoint from \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\n$/;

test('a whole tree is found to be whole, in buckets, too', async () => {
  const many = Array.from({ length: 300 }, (_, index) => `many.k${index}=${index}`).join(' ');
  await shell(
    `flux kvs put a=1 b.c=2 ${many}; seq 1 100 | flux kvs put --raw b.long=-; flux kvs link b.c l; flux kvs sync`,
  );
  await checkRows(instance, [
    { args: ['fsck'], stdout: heading },
    { args: ['fsck', '--checksum'], stdout: heading },
    { args: ['fsck', '-v'], stdout: heading, stderr: /^flux-fsck: many\.k299\n[\s\S]*Total errors: 0$/m },
    { args: ['fsck', '-q', '-v'], stdout: heading, stderr: /^flux-fsck: Total errors: 0\n$/ },
  ]);
  const { stderr } = await instance.flux(['fsck', '-v']);
  assert.equal(stderr.match(/^flux-fsck: many\.k\d+$/gm)?.length, 300);
});

test('what is lost is told and taken out, and what is left of a value is in lost+found', async () => {
  const good = await shell(`seq 1 50 | flux kvs put --raw v=-; flux kvs get --treeobj v`);
  const half = good.replace('["', `["${nothing}","`);
  await shell(`
    flux kvs put --treeobj 'x.half=${half}'
    flux kvs put --treeobj 'x.all=${lost('valref')}'
    flux kvs put --treeobj 'many.gone=${lost('valref')}'
    flux kvs put --treeobj 'x.dir=${lost('dirref')}'
    flux kvs sync`);
  await checkRows(instance, [
    {
      args: ['fsck'],
      stdout: heading,
      stderr:
        /^(?=[\s\S]*: x\.dir: missing dirref blobref\n)(?=[\s\S]*: x\.half: missing blobref\(s\)\n)[\s\S]*Total errors: 4\n$/,
      exit: 1,
    },
    { args: ['fsck', '-v'], stdout: heading, stderr: /: x\.half: missing blobref index=0\n/, exit: 1 },
    { args: ['fsck', '--repair'], stderr: /please unload kvs module/, exit: 1 },
  ]);
  await unload();
  await checkRows(instance, [
    {
      args: ['fsck', '--repair'],
      stdout: heading,
      stderr:
        /x\.half repaired and moved to lost\+found\n[\s\S]*Total repairs: 3\n[\s\S]*Total unlinked directories: 1\n$/,
      exit: 1,
    },
    { args: ['fsck', '--repair'], stdout: heading },
  ]);
  await load();
  assert.equal(
    await shell('flux kvs get --raw lost+found.x.half | tail -1; flux kvs get a; flux kvs ls -1 many | wc -l'),
    '50\n1\n300',
  );
  assert.equal(await shell(`flux kvs get lost+found.x.all; flux kvs ls x; flux kvs ls lost+found.many`), 'gone');
});

test('a job that has lost something goes to lost+found as a whole, if wanted', async () => {
  const job = 'job.0000.0001.0000.0000';
  await shell(`
    flux kvs put ${job}.R=1 ${job}.guest.output=2 job.0000.0002.0000.0000.R=3
    flux kvs put --treeobj '${job}.guest.bad=${lost('valref')}'
    flux kvs sync`);
  await unload();
  await checkRows(instance, [
    {
      args: ['fsck', '--repair', '--job-aware', '-v'],
      stdout: heading,
      stderr: new RegExp(`${job.replaceAll('.', '\\.')} moved to lost\\+found`),
      exit: 1,
    },
  ]);
  await load();
  const values = await shell(
    `flux kvs get lost+found.${job}.R lost+found.${job}.guest.output job.0000.0002.0000.0000.R`,
  );
  assert.equal(values, '1\n2\n3');
  assert.equal(
    await shell(`flux kvs get lost+found.${job}.guest.bad; flux kvs get ${job}.R 2>&1 | wc -l || true`),
    '1',
  );
});

test('another root than the newest checkpoint can be looked at', async () => {
  const rootref = await shell('flux kvs put --treeobj "y=$(flux kvs get --treeobj v)" >/dev/null; flux kvs getroot -b');
  await shell(`flux kvs put --treeobj 'z=${lost('valref')}'`);
  await checkRows(instance, [
    { args: ['fsck', `--rootref=${rootref}`] },
    { args: ['fsck', `--rootref=${nothing}`], stderr: /cannot load root tree object: /, exit: 1 },
    { args: ['fsck', '--rootref=x'], stderr: /'x' is no blobref/, exit: 1 },
    { args: ['fsck', 'x'], stderr: /too many arguments/, exit: 1 },
  ]);
  await shell('flux kvs unlink -R y z');
});

test('garbage goes, and what checkpoints and namespaces refer to stays', async () => {
  await shell('flux kvs namespace create other; seq 1 70 | flux kvs put -N other --raw n=-');
  for (let i = 0; i < 5; i++) await shell(`seq ${i} 90 | flux kvs put --raw g=-; flux kvs sync`);
  const reclaimed = async (args: readonly string[]) => {
    const { stderr, exit } = await instance.flux(['gc', ...args]);
    assert.equal(exit, 0, stderr);
    return Number(/ reclaimed (\d+) blobs/.exec(stderr)?.[1]);
  };
  assert.ok((await reclaimed(['-v', '--maxreqs=16'])) > 0);
  assert.equal(await reclaimed(['--no-cache']), 0);
  await shell('flux content dropcache');
  assert.equal(
    await shell('flux kvs get -N other --raw n | tail -1; flux kvs get --raw g | tail -1; flux kvs get many.k7'),
    '70\n90\n7',
  );
  await checkRows(instance, [{ args: ['fsck', '--checksum'], stdout: heading }]);
  const guest = { env: { FLUX_HANDLE_USERID: '9999', FLUX_HANDLE_ROLEMASK: '2' } };
  await checkRows(instance, [
    { args: ['gc'], options: guest, stderr: /failed to fetch gc-info: .*owner credentials/, exit: 1 },
    { args: ['gc', 'x'], stderr: /too many arguments/, exit: 1 },
  ]);
});

test('a run of gc that cannot see everything removes nothing', async () => {
  await shell(`flux kvs put --treeobj 'q.dir=${lost('dirref')}'`);
  await checkRows(instance, [{ args: ['gc'], stderr: /q\.dir: could not load content/, exit: 1 }]);
  await shell('flux kvs unlink -R q');
});

test('content that has changed on the disk is found by its checksum', async () => {
  const { rootref, value } = await withHandle(instance.uri, async (handle) => {
    const value = await new Kvs(handle).readdir('.').then((entries) => entries.get('v')!);
    const { rootref } = (await new Content(handle).checkpoints())[0]!;
    return { rootref, value };
  });
  assert.equal(value.type, 'valref');
  await instance.stop();
  const file = new DatabaseSync(path.join(statedir, 'content.sqlite'));
  const digest = Buffer.from(String(value.data).replace(/.*-/, ''), 'hex');
  const { changes } = file
    .prepare('UPDATE objects SET object = ?, size = -1 WHERE CAST(hash AS BLOB) = ?')
    .run(Buffer.from('other'), digest);
  file.close();
  assert.equal(changes, 1);
  instance = await startInstance(1, [`-Sstatedir=${statedir}`]);
  await checkRows(instance, [
    { args: ['fsck', `--rootref=${rootref}`] },
    {
      args: ['fsck', '--checksum', `--rootref=${rootref}`],
      stderr: /: v: error retrieving blobref\(s\): (the content is not what the blobref says|.*have another hash)\n/,
      exit: 1,
    },
  ]);
  assert.ok(fs.existsSync(path.join(statedir, 'content.sqlite')));
});
