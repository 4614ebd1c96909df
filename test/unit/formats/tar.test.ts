// Tar archives: what flux-core dumped and what GNU tar writes is read, and whatever is written is read again.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeTarHeader, TAR_END, type TarHeader, TarReader, tarPadding } from '../../../core/formats/tar.ts';
import { refused } from '../../errors.ts';

interface Entry {
  readonly header: TarHeader;
  readonly content: string;
}

/** All entries of an archive that comes in chunks of `size` bytes. */
async function readAll(archive: Uint8Array, size = 1000): Promise<Entry[]> {
  async function* chunks() {
    for (let at = 0; at < archive.length; at += size) yield archive.subarray(at, at + size);
  }
  const reader = new TarReader(chunks());
  const entries: Entry[] = [];
  for (let header = await reader.next(); header; header = await reader.next()) {
    const parts: Uint8Array[] = [];
    for (let part = await reader.read(100); part.length; part = await reader.read(100)) parts.push(part);
    entries.push({ header, content: Buffer.concat(parts).toString('latin1') });
  }
  return entries;
}

function write(entries: readonly Entry[]): Uint8Array {
  const parts = entries.flatMap(({ header, content }) => [
    encodeTarHeader(header),
    Buffer.from(content, 'latin1'),
    tarPadding(content.length),
  ]);
  return Buffer.concat([...parts, TAR_END]);
}

/** Makes an archive with tar(1). */
function gnuTar(format: string, make: (folder: string) => void): Uint8Array {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-tar-test-'));
  try {
    make(folder);
    return execFileSync('tar', ['-c', `--format=${format}`, '--sort=name', '-C', folder, '.'], { maxBuffer: 1 << 26 });
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

test('a dump of flux-core is read', async () => {
  const archive = fs.readFileSync('test/golden/dump.tar');
  for (const size of [1, 511, 512, 513, archive.length]) {
    const entries = await readAll(archive, size);
    const contents = new Map(entries.map(({ header, content }) => [header.path, content]));
    assert.equal(entries.length, 58);
    assert.equal(contents.get('b/c'), 'two words');
    assert.equal(contents.get('ünï/cödé'), 'ja');
    assert.equal(contents.get('big/value'), 'x'.repeat(5000));
    assert.equal(contents.get('bin')!.length, 256);
    const link = entries.find(({ header }) => header.type === 'symlink')!.header;
    assert.deepEqual([link.path, link.target], ['link', 'b.c']);
  }
});

for (const format of ['v7', 'ustar', 'gnu', 'pax']) {
  test(`what GNU tar writes as ${format} is read`, async () => {
    const long = format === 'gnu' || format === 'pax' ? 'n'.repeat(120) : 'n'.repeat(60);
    const archive = gnuTar(format, (folder) => {
      fs.mkdirSync(path.join(folder, 'd'));
      fs.writeFileSync(path.join(folder, 'd', long), 'content');
      fs.symlinkSync(long, path.join(folder, 'l'));
      fs.linkSync(path.join(folder, 'd', long), path.join(folder, 'm'));
      fs.writeFileSync(path.join(folder, 'z'), '');
    });
    const entries = await readAll(archive);
    const shown = entries.map(({ header, content }) => `${header.type} ${header.path} ${header.target} ${content}`);
    assert.deepEqual(shown, [
      'directory ./  ',
      'directory ./d/  ',
      `file ./d/${long}  content`,
      `symlink ./l ${long} `,
      `link ./m ./d/${long} `,
      'file ./z  ',
    ]);
  });
}

const name = fc.oneof(fc.string({ minLength: 1, unit: 'grapheme' }), fc.stringMatching(/^[a-z/]{1,300}$/));
const path_ = name.filter((text) => !text.includes('\0') && Buffer.from(text).toString() === text);
const entry = fc
  .record({
    path: path_,
    type: fc.constantFrom('file' as const, 'symlink' as const),
    text: fc.string({ unit: 'binary-ascii', maxLength: 1500 }),
    target: path_,
    mtime: fc.oneof(fc.nat(), fc.maxSafeNat(), fc.integer({ min: -1000, max: 0 })),
    mode: fc.nat({ max: 0o7777 }),
    uid: fc.nat({ max: 0xffffffff }),
    gid: fc.nat({ max: 0xffffffff }),
    record: fc.option(path_),
  })
  .map(({ text, target, type, record, ...rest }): Entry => {
    const isLink = type === 'symlink';
    const records = new Map(record === null ? [] : [['FLUX.test', record]]);
    const header = { ...rest, type, size: isLink ? 0 : text.length, target: isLink ? target : '', records };
    return { header, content: isLink ? '' : text };
  });

test('what is written is read again', () =>
  fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 5 }), fc.integer({ min: 1, max: 3000 }), async (entries, size) => {
      assert.deepEqual(await readAll(write(entries), size), entries);
    }),
    { numRuns: 300 },
  ));

test('GNU tar reads what is written', () => {
  const content = 'y'.repeat(700);
  const long = `${'d'.repeat(120)}/${'e'.repeat(90)}`;
  const paths = ['a', long, `${long}/${'f'.repeat(200)}`, 'ünï/cödé'];
  const headers = paths.map((path): TarHeader => ({ path, type: 'file', size: content.length }));
  const archive = write(headers.map((header) => ({ header, content })));
  const env = { ...process.env, LC_ALL: 'C.UTF-8' };
  const list = execFileSync('tar', ['-t', '--quoting-style=literal'], { input: archive, env });
  assert.deepEqual(list.toString().trim().split('\n'), paths);
});

test('sizes beyond eight gigabytes, in pax and as GNU writes them', async () => {
  const size = 2 ** 40 + 1;
  const header = encodeTarHeader({ path: 'a', type: 'file', size });
  async function* chunks() {
    yield header;
  }
  assert.equal((await new TarReader(chunks()).next())!.size, size);
  const block = Buffer.from(encodeTarHeader({ path: 'a', type: 'file', size: 0 }));
  const gnu = Buffer.from(block);
  gnu.fill(0, 124, 136);
  gnu[124] = 0x80;
  gnu.writeUIntBE(size, 130, 6);
  // The checksum changes by as much as the field's bytes do.
  const sum = (bytes: Buffer) => bytes.subarray(124, 136).reduce((total, byte) => total + byte, 0);
  const checksum = Number.parseInt(block.toString('latin1', 148, 154), 8) + sum(gnu) - sum(block);
  gnu.write(`${checksum.toString(8).padStart(6, '0')}\0 `, 148);
  async function* gnuChunks() {
    yield gnu;
  }
  assert.equal((await new TarReader(gnuChunks()).next())!.size, size);
});

test('what is no archive, or only the beginning of one, is refused', async () => {
  const whole = write([{ header: { path: 'a', type: 'file', size: 600 }, content: 'z'.repeat(600) }]);
  for (const length of [1, 511, 513, 700]) await refused(readAll(whole.subarray(0, length)), 'EINVAL');
  // Some programs leave out the zeros at the end.
  assert.equal((await readAll(whole.subarray(0, 512 + 600))).length, 1);
  await refused(readAll(Buffer.from('x'.repeat(1024))), 'EINVAL');
  const badPax = write([{ header: { path: 'é', type: 'file', size: 0 }, content: '' }]);
  badPax[512] = 0x39;
  await refused(readAll(badPax), 'EINVAL');
  assert.deepEqual(await readAll(new Uint8Array()), []);
});

test('sparse files of GNU tar are refused, for their content would be wrong', async () => {
  const header = { path: 'a', type: 'file', size: 0, records: new Map([['GNU.sparse.major', '1']]) } as const;
  await refused(readAll(write([{ header, content: '' }])), 'EINVAL');
});
