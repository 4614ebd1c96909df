// flux dump and flux restore: what was dumped is what is restored, in whatever form, and while others write.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { makeBlobref } from '../../core/formats/blobref.ts';
import { Kvs } from '../../core/handle/kvs.ts';
import { type Instance, startInstance } from './instance.ts';
import { checkRows } from './rows.ts';
import { withHandle } from './support.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-dump-test-'));
const at = (name: string) => path.join(folder, name);
let instance: Instance;
before(async () => {
  instance = await startInstance(1);
  await makeKeys();
});
after(async () => {
  await instance.stop();
  fs.rmSync(folder, { recursive: true });
});

/** The words of a shell command's output; it must succeed. */
async function shell(script: string): Promise<string> {
  const outcome = await instance.shell(`set -e -o pipefail\n${script}`, { cwd: folder, timeoutMs: 60_000 });
  assert.equal(outcome.exit, 0, JSON.stringify(outcome));
  return outcome.stdout.trim();
}

/** All that is below a key: values, and where links lead. */
function contents(key: string): Promise<readonly (readonly [key: string, content: unknown])[]> {
  return withHandle(instance.uri, async (handle) => {
    const kvs = new Kvs(handle);
    const all: (readonly [string, unknown])[] = [];
    for await (const { key: below, value } of kvs.walk(key)) {
      const content = value.type === 'val' || value.type === 'valref' ? await kvs.get(below) : undefined;
      all.push([
        below.slice(key.length),
        content ? makeBlobref('sha1', content) : value.type === 'symlink' && value.data,
      ]);
    }
    return all;
  });
}

const treeobj = (key: string) => shell(`flux kvs get --treeobj ${key}`);

const odd = ['"a/b.c/=1"', '"sp ace.x y=2"', '"ü.é=3"', '"nl\nx=4"', 'e=', '"q\\"uote=5"', '"#=6"'];
async function makeKeys(): Promise<void> {
  const many = Array.from({ length: 300 }, (_, index) => `src.many.key${index}=${index}`).join(' ');
  const long = 'n'.repeat(150);
  await shell(`
    flux kvs put a=1 ${odd.map((each) => each.replace(/^"?/, (quote) => `${quote}src.`)).join(' ')} ${many}
    flux kvs put src.${long}.${long}=long
    flux kvs link ${long} src.longlink
    flux kvs link --target-namespace=other x.y src.far
    seq 1 20000 | flux kvs put --raw src.big=-
    for i in 1 2 3; do seq 1 300 | flux kvs put --append --raw src.appended=-; done
    flux lptest 80 80000 >huge; flux kvs put --raw src.huge=- <huge`);
}

test('what is dumped comes back, compressed or not, through the cache or not', async () => {
  const wanted = await contents('src');
  for (const name of ['all.tar', 'all.tgz', 'all.tar.bz2']) {
    await shell(`flux dump --maxreqs=8 ${name} && flux restore --key=back ${name}`);
    assert.deepEqual(await contents('back.src'), wanted);
    await shell('flux kvs get --raw back.src.huge | cmp - huge');
    await shell('flux kvs unlink -R back');
  }
  await shell('flux dump -q all.tar && flux restore -q --key=one all.tar');
  await shell('flux dump --no-cache -q - | flux restore --no-cache --maxreqs=1 -q --key=two -');
  assert.equal(await shell('flux kvs get two.one.a'), '1');
  await shell('flux kvs unlink -R two && flux kvs unlink -R one');
});

test('dumps of one root are the same bytes, and restoring one gives the same root again', async () => {
  await shell('flux kvs put z=1; flux kvs sync');
  await shell('flux dump -q --checkpoint 1.tar && flux dump -q --checkpoint --maxreqs=50 2.tar && cmp 1.tar 2.tar');
  await shell('flux restore -q --key=r1 1.tar && flux restore -q --maxreqs=1 --key=r2 2.tar');
  assert.equal(await treeobj('r1'), await treeobj('r2'));
  await shell('flux kvs unlink -R r1 r2');
});

test('what tar writes is restored: folders are passed over, hard links are the file that they are', async () => {
  const names = await shell(`
    mkdir -p t/d/empty; printf 1 >t/a; printf 22 >t/d/b; ln -s d.b t/l; ln t/d/b t/m; seq 1 100 >t/long
    tar cf t.tar --sort=name -C t . && flux restore -v --key=tar t.tar 2>&1 | grep -v writing`);
  assert.deepEqual(names.split('\n').sort(), ['./a', './d/b', './l -> d.b', './long', 'm']);
  assert.equal(await shell('flux kvs get tar.d.b tar.m | tr "\\n" " "; flux kvs ls tar.d'), '22 22 b');
  await shell('flux restore -q --size-limit=10 --key=small t.tar; flux kvs get small.a; ! flux kvs get small.long');
  await shell('flux kvs unlink -R tar small');
});

test('a dump of flux-core is restored', async () => {
  await shell(`flux restore -q --key=golden ${path.resolve('test/golden/dump.tar')}`);
  const values = await shell('flux kvs get golden.b.c golden.d.e.f golden.ünï.cödé; flux kvs readlink golden.link');
  assert.deepEqual(values.split('\n'), ['two words', '3.5', 'ja', 'b.c']);
  await shell('flux kvs unlink -R golden');
});

test('a dump is of one moment, whatever is written meanwhile', async () => {
  // Both keys of a commit have the same number.
  await shell(`
    (i=0; while ! test -e stop; do i=$((i+1)); flux kvs put moment.a=$i "moment.z z=$i"; done) & writer=$!
    until flux kvs get moment.a >/dev/null 2>&1; do :; done
    for i in 1 2; do flux dump -q moment.tar; flux restore -q --key=then moment.tar
      test $(flux kvs get then.moment.a) = $(flux kvs get 'then.moment.z z'); done
    touch stop; wait $writer; flux kvs unlink -R moment then`);
});

test('what is being dumped is no garbage, and nothing is left when the dump has ended', async () => {
  await shell(`
    flux dump -q - | { head -c 1000 >/dev/null; until flux kvs namespace list | grep -q '^dump-'; do :; done; cat >rest; }
    ! flux kvs namespace list | grep '^dump-'; flux dump -q x.tar; ! flux kvs namespace list | grep '^dump-'`);
});

test('a checkpoint is restored when the KVS is not running, and is what it begins with', async () => {
  await shell('flux dump -q before.tar; flux module remove kvs-watch; flux module remove kvs');
  try {
    await checkRows(instance, [
      { args: ['dump', '-q', at('x.tar')], stderr: /error fetching current KVS root: .*kvs\.getroot/, exit: 1 },
      { args: ['dump', '-q', '--checkpoint', at('x.tar')] },
      { args: ['restore', '--key=k', at('t.tar')], stderr: /error updating k/, exit: 1 },
      {
        args: ['restore', '--checkpoint', at('t.tar')],
        stderr: /writing snapshot sha1-.{8} to checkpoint for next KVS/,
      },
    ]);
  } finally {
    await shell('flux module load kvs');
  }
  assert.equal(await shell('flux kvs get d.b'), '22');
  await shell(
    'flux module remove kvs; flux restore -q --checkpoint before.tar; flux module load kvs; flux module load kvs-watch',
  );
  assert.equal(await shell('flux kvs get a'), '1');
});

test('what cannot be read is told, and a dump that failed leaves what was there', async () => {
  const missing = `{"data":["sha1-${'0'.repeat(40)}"],"type":"TYPE","ver":1}`;
  await shell(`flux kvs put --treeobj 'bad.value=${missing.replace('TYPE', 'valref')}'`);
  fs.writeFileSync(at('old.tar'), 'old');
  await checkRows(instance, [
    {
      args: ['dump', '-q', at('old.tar')],
      stderr: /^bad\/value: missing blobref 0: No such file or directory$/m,
      exit: 1,
    },
    { args: ['dump', '-q', '--ignore-failed-read', at('new.tar')], stderr: /^bad\/value: missing blobref 0/m },
  ]);
  assert.equal(fs.readFileSync(at('old.tar'), 'utf8'), 'old');
  assert.deepEqual(
    fs.readdirSync(folder).filter((name) => name.includes('part')),
    [],
  );
  await shell(
    'flux restore -q --key=n new.tar; flux kvs get n.a; ! flux kvs get n.bad.value; flux kvs unlink -R n bad',
  );
});

test('wrong command lines are refused', async () => {
  fs.writeFileSync(at('zip.tar'), 'PK\x03\x04 and so on');
  fs.writeFileSync(at('text.tar'), 'x'.repeat(2000));
  fs.writeFileSync(at('cut.tgz'), fs.readFileSync(at('all.tgz')).subarray(0, 1000));
  await checkRows(instance, [
    { args: ['dump'], stderr: /missing required argument/, exit: 1 },
    { args: ['dump', at('x.lzh')], stderr: /told by its ending: \.tar, /, exit: 1 },
    { args: ['dump', at('none/x.tar')], stderr: /none\/x\.tar: No such file or directory/, exit: 1 },
    { args: ['dump', '--maxreqs=0', at('x.tar')], stderr: /'0' is no number of requests/, exit: 1 },
    { args: ['restore', '--key=x'], stderr: /missing required argument/, exit: 1 },
    { args: ['restore', at('all.tar')], stderr: /Please specify a restore target/, exit: 1 },
    { args: ['restore', '--checkpoint', at('all.tar')], stderr: /please unload kvs module/, exit: 1 },
    { args: ['restore', '--key=x', at('none.tar')], stderr: /none\.tar: No such file or directory/, exit: 1 },
    { args: ['restore', '--key=x', at('zip.tar')], stderr: /zip\.tar is a zip archive/, exit: 1 },
    { args: ['restore', '--key=x', at('text.tar')], stderr: /this is no tar archive/, exit: 1 },
    { args: ['restore', '--key=x', at('cut.tgz')], stderr: /unexpected end of file|cut off/, exit: 1 },
    { args: ['restore', '--size-limit=x', at('t.tar')], stderr: /'x' is no size/, exit: 1 },
    { args: ['kvs', 'get', 'x'], stderr: /No such file/, exit: 1 },
  ]);
  const guest = { env: { FLUX_HANDLE_USERID: '9999', FLUX_HANDLE_ROLEMASK: '2' } };
  await checkRows(instance, [
    { args: ['dump', '-q', at('x.tar')], options: guest, stderr: /KVS root: Operation not permitted/, exit: 1 },
    { args: ['restore', '-q', '--key=x', at('all.tar')], options: guest, stderr: /owner credentials/, exit: 1 },
  ]);
});

test('keys are listed with -v, and counted without', () =>
  checkRows(instance, [
    { args: ['dump', '-v', at('v.tar')], stderr: /^src\/many\/key299$/m },
    { args: ['dump', at('v.tar')], stderr: /^flux-dump: archived \d+ keys\n$/ },
    {
      args: ['restore', '--key=v', at('v.tar')],
      stderr: /^flux-restore: restored \d+ keys \(\d+ blobs\)\n.*to KVS key 'v'\n$/,
    },
    { args: ['dump', '-q', '--sd-notify', at('v.tar')] },
  ]));
