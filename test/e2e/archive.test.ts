// flux archive: files go into the KVS and come out on any rank as they were, and nothing comes out where it should not.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Kvs } from '../../core/handle/kvs.ts';
import { KvsTransaction } from '../../core/handle/kvs-transaction.ts';
import type { JsonValue } from '../../core/json.ts';
import { type Instance, startInstance } from './instance.ts';
import { checkRows } from './rows.ts';
import { temporaryFolder, withHandle } from './support.ts';

const folder = temporaryFolder();
let instance: Instance;
before(async () => {
  instance = await startInstance(2);
  await shell(`
    umask 022
    mkdir -p src/sub/empty; printf 'small\\n' >src/small; printf x >src/sub/x; ln -s small src/link; : >src/nothing
    head -c 2500000 /dev/urandom >src/large; printf 'a\\000b' >src/binary; chmod 750 src/large; chmod 500 src/sub
    truncate -s 3M src/hole; truncate -s 3M src/sparse; printf data | dd of=src/sparse bs=1 seek=1500000 conv=notrunc 2>/dev/null
    mkdir -p 'src/odd name'; printf y >'src/odd name/ü'`);
});
after(() => instance.stop());

/** The words of a shell command's output; it must succeed. */
async function shell(script: string): Promise<string> {
  const outcome = await instance.shell(`set -e -o pipefail\n${script}`, { cwd: folder, timeoutMs: 60_000 });
  assert.equal(outcome.exit, 0, JSON.stringify(outcome));
  return outcome.stdout.trim();
}

/** Runs rows in the test's folder. */
const check = (rows: Parameters<typeof checkRows>[1]) =>
  checkRows(
    instance,
    rows.map((row) => ({ ...row, args: ['archive', ...row.args], options: { cwd: folder, ...row.options } })),
  );

/** Puts an archive into the KVS as it stands. */
const putArchive = (name: string, archive: JsonValue) =>
  withHandle(instance.uri, (handle) =>
    new Kvs(handle).commit(new KvsTransaction().putJson(`archive.${name}`, archive)),
  );

const list = 'find . -printf "%y %m %s %p %l\\n" | grep -v "^d" | sort';

test('what goes in comes out, with permissions, links and holes', async () => {
  await check([
    { args: ['create', 'src'] },
    { args: ['create', 'src'], stderr: /archive\.main: key exists/, exit: 1 },
    { args: ['list', 'src/s*'], stdout: 'src/small\nsrc/sparse\nsrc/sub/empty\nsrc/sub/x\nsrc/sub\n' },
    { args: ['list', '--long', '*/l*'], stdout: 'f 0750  2500000 src/large\nl 0777        0 src/link\n' },
    {
      args: ['list', '--raw', '*/nothing'],
      stdout: /^\{"path":"src\/nothing","size":0,"mtime":\d+,"ctime":\d+,"mode":33188\}\n$/,
    },
    { args: ['list', 'nope'], stderr: /No files matched pattern 'nope'/ },
  ]);
  await shell('mkdir out; umask 022; flux archive extract -C out; diff -r src out/src');
  assert.equal(await shell(`cd out/src; ${list}`), await shell(`cd src; ${list}`));
  assert.equal(fs.statSync(path.join(folder, 'out/src/sub')).mode & 0o777, 0o500);
  for (const name of ['hole', 'sparse']) {
    const { blocks, size } = fs.statSync(path.join(folder, 'out/src', name));
    assert.ok(size === 3 << 20 && blocks * 512 < 100_000, `${name}: ${blocks} blocks`);
  }
});

test('files that are there stay, unless they are to be replaced', async () => {
  await shell('printf mine >out/src/small');
  await check([
    { args: ['extract', '-C', 'out', 'src/small'], stderr: /src\/small: .*--overwrite/, exit: 1 },
    { args: ['extract', '-C', 'out', 'src/link'], stderr: /src\/link: .*--overwrite/, exit: 1 },
    { args: ['extract', '-C', 'out', '--overwrite', '-v'], stderr: /^src\/small$/m },
  ]);
  assert.equal(fs.readFileSync(path.join(folder, 'out/src/small'), 'utf8'), 'small\n');
});

test('an archive is replaced, appended to and removed', async () => {
  await check([
    { args: ['create', '--overwrite', '-v', 'src/small'], stderr: /^src\/small\n$/ },
    { args: ['create', '--append', '-C', 'src', './small', 'link'] },
    { args: ['list'], stdout: 'src/small\nsmall\nlink\n' },
    { args: ['extract', '-t'], stdout: 'src/small\nsmall\nlink\n' },
    { args: ['create', '--append', '--overwrite', 'src'], stderr: /cannot be used together/, exit: 1 },
    { args: ['remove'] },
    { args: ['remove'], stderr: /archive\.main does not exist/, exit: 1 },
    { args: ['remove', '--force'] },
    { args: ['list'], stderr: /KVS lookup archive\.main: No such file or directory/, exit: 1 },
  ]);
});

test('references keep the content of files when it is to be kept', async () => {
  await check([
    { args: ['create', '-n', 'keep', '--preserve', '--chunksize=1M', 'src/large'] },
    { args: ['create', '-n', 'keep', '--append', '--preserve', '--small-file-threshold=0', 'src/small'] },
  ]);
  assert.equal(await shell('flux kvs ls -1 archive.keep_blobs'), '0\n1\n2\n3');
  await check([{ args: ['remove', '-n', 'keep'] }]);
  await shell('! flux kvs ls archive.keep_blobs 2>/dev/null');
});

test('large files may stay where they are', async () => {
  await check([
    {
      args: ['create', '-n', 'map', '--mmap', '--chunksize=300000', 'src/large', 'src/sparse', 'src/hole', 'src/small'],
    },
    { args: ['create', '--mmap', '--preserve', 'src/large'], stderr: /--preserve/, exit: 1 },
    { args: ['create', '--mmap', '--no-force-primary', 'src/large'], stderr: /--no-force-primary/, exit: 1 },
  ]);
  await shell('(flux exec -r 1 flux archive create --mmap -n x src/large 2>&1 || :) | grep "only works on rank 0"');
  await shell('mkdir mapped; flux archive extract -n map -C mapped');
  for (const name of ['large', 'sparse', 'hole', 'small']) await shell(`cmp src/${name} mapped/src/${name}`);
  await check([{ args: ['remove', '-n', 'map'] }]);
});

test('the old names of the commands still do', async () => {
  await shell(`
    mkdir old; flux filemap map -Tfoo src/large 2>warning; grep deprecated warning
    flux module stats content | grep -q src/large
    test "$(flux filemap list -T foo)" = src/large
    flux filemap get -C old -Tfoo; cmp src/large old/src/large; flux filemap unmap -Tfoo
    ! flux module stats content | grep -q src/large
    flux filemap map --disable-mmap src/large; flux archive list; flux filemap unmap`);
});

test('other ranks get the files, and wait for them if wanted', async () => {
  await shell(`
    mkdir rank1
    flux exec -r 1 flux archive extract -n later --waitcreate=30s -C ${folder}/rank1 & reader=$!
    flux archive create -n later src/small src/large
    wait $reader
    cmp src/large rank1/src/large; flux archive remove -n later`);
  await check([
    { args: ['extract', '-n', 'never', '--waitcreate=0.1s'], stderr: /not created within timeout/, exit: 1 },
  ]);
});

test('archives may be in the namespace of a job', async () => {
  await shell(`
    flux kvs namespace create guest; export FLUX_KVS_NAMESPACE=guest
    flux archive create --no-force-primary -n g src/small
    flux archive list --no-force-primary -n g
    ! flux archive list -n g 2>/dev/null
    flux archive remove --no-force-primary -n g; unset FLUX_KVS_NAMESPACE; flux kvs namespace remove guest`);
});

test('nothing gets out of the folder', async () => {
  const text = (path: string) => ({ path, mode: 0o100644, encoding: 'utf-8', data: 'evil' });
  await putArchive('up', [text('../evil')]);
  await putArchive('root', [text(`${folder}/evil`)]);
  await putArchive('through', [{ path: 'l', mode: 0o120777, data: '..' }, text('l/evil')]);
  await putArchive('over', [{ path: 'l2', mode: 0o120777, data: '../evil' }, text('l2')]);
  fs.mkdirSync(path.join(folder, 'jail'));
  const extract = (name: string) => ['extract', '--overwrite', '-C', 'jail', '-n', name];
  await check([
    { args: extract('up'), stderr: /leads out of the folder/, exit: 1 },
    { args: extract('root'), stderr: /leads out of the folder/, exit: 1 },
    { args: extract('through'), stderr: /l\/evil: l is a link of the same archive/, exit: 1 },
    { args: extract('over') },
    { args: ['create', '../x'], stderr: /x: /, exit: 1 },
  ]);
  assert.ok(!fs.existsSync(path.join(folder, 'evil')));
});

test('what is wrong with an archive or a file is told', async () => {
  const blob = `sha1-${'0'.repeat(40)}`;
  const file = { path: 'f', mode: 0o100644, size: 4 };
  await putArchive('lost', [{ ...file, encoding: 'blobvec', data: [[0, 4, blob]] }]);
  await putArchive('rot13', [{ ...file, encoding: 'rot13', data: 'x' }]);
  await putArchive('pipe', [{ path: 'p', mode: 0o010644 }]);
  await putArchive('text', 'x');
  await shell('mkfifo fifo');
  await check([
    { args: ['extract', '-n', 'lost'], stderr: /f: error loading offset=0 size=4 from sha1-0+: /, exit: 1 },
    { args: ['extract', '-n', 'rot13'], stderr: /unknown encoding 'rot13'/, exit: 1 },
    { args: ['extract', '-n', 'pipe'], stderr: /p: unknown file type/, exit: 1 },
    { args: ['extract', '-n', 'text'], stderr: /this is no archive/, exit: 1 },
    { args: ['create'], stderr: /missing required argument/, exit: 1 },
    { args: ['create', 'fifo'], stderr: /fifo: unsupported file type/, exit: 1 },
    { args: ['create', 'nope'], stderr: /nope: No such file/, exit: 1 },
    { args: ['create', '-C', 'nope', '.'], stderr: /chdir nope: No such file/, exit: 1 },
    { args: ['list', 'a', 'b'], stderr: /too many arguments/, exit: 1 },
    { args: ['create', '--badopt'], stderr: /unknown option/, exit: 1 },
  ]);
  assert.ok(!fs.existsSync(path.join(folder, 'f')));
});
