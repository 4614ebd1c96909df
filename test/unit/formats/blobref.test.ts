// Blobrefs: the hashes that flux-core makes, and what is none.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { blobrefToDigest, digestToBlobref, isBlobref, isHashName, makeBlobref } from '../../../core/formats/blobref.ts';
import { throwsCode } from '../../errors.ts';
import { golden } from '../../golden.ts';

const sha1 = 'sha1-da39a3ee5e6b4b0d3255bfef95601890afd80709';
const sha256 = 'sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

test('the reference of nothing', () => {
  assert.equal(makeBlobref('sha1', new Uint8Array()), sha1);
  assert.equal(makeBlobref('sha256', new Uint8Array()), sha256);
});

test('references of what flux-core stored', () => {
  const { sequences } = golden<{ sequences: { objects: Record<'sha1' | 'sha256', Record<string, string>> }[] }>(
    'vectors/treeobj.json',
  );
  for (const { objects } of sequences) {
    for (const hash of ['sha1', 'sha256'] as const)
      for (const [blobref, text] of Object.entries(objects[hash]))
        assert.equal(makeBlobref(hash, Buffer.from(text)), blobref);
  }
});

test('what is a blobref', () => {
  const rows: readonly (readonly [text: string, is: boolean])[] = [
    [sha1, true],
    [sha256, true],
    ['', false],
    ['sha1-', false],
    [sha1.slice(0, -1), false],
    [`${sha1}0`, false],
    [`${sha1}\n`, false],
    [sha1.toUpperCase(), false],
    [sha1.replace('afd', 'AFD'), false],
    [sha1.replace('sha1', 'sha256'), false],
    [sha1.replace('sha1', 'md5'), false],
    [sha1.replace('-', ''), false],
  ];
  for (const [text, is] of rows) {
    assert.equal(isBlobref(text), is, text);
    if (!is) throwsCode(() => blobrefToDigest(text), 'EINVAL', /no blobref/);
  }
});

test('blobrefs and digests turn into each other', () => {
  const digests = fc.constantFrom('sha1' as const, 'sha256' as const).chain((hash) => {
    const length = hash === 'sha1' ? 20 : 32;
    return fc.record({ hash: fc.constant(hash), digest: fc.uint8Array({ minLength: length, maxLength: length }) });
  });
  fc.assert(
    fc.property(digests, ({ hash, digest }) => {
      const blobref = digestToBlobref(hash, digest);
      assert.ok(isBlobref(blobref));
      const back = blobrefToDigest(blobref);
      assert.equal(back.hash, hash);
      assert.deepEqual(Uint8Array.from(back.digest), digest);
    }),
  );
});

test('a digest has the length of its hash', () => {
  throwsCode(() => digestToBlobref('sha1', new Uint8Array(32)), 'EINVAL', /20 bytes/);
  throwsCode(() => digestToBlobref('sha256', new Uint8Array(20)), 'EINVAL', /32 bytes/);
});

test('names of hashes', () => {
  assert.deepEqual(['sha1', 'sha256', 'md5', 'SHA1', ''].filter(isHashName), ['sha1', 'sha256']);
});
