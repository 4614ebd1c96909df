// Z85 by the example of its specification, and certificates there and back.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Certificate, encodeCertificate, parseCertificate } from '../../../core/formats/certificate.ts';
import { decodeZ85, encodeZ85 } from '../../../core/formats/z85.ts';

test('Z85', () => {
  const bytes = Buffer.from([0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b]);
  assert.equal(encodeZ85(bytes), 'HelloWorld');
  assert.deepEqual(decodeZ85('HelloWorld'), bytes);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 32 }), (some) => {
      const whole = some.subarray(0, some.length - (some.length % 4));
      assert.deepEqual(new Uint8Array(decodeZ85(encodeZ85(whole))), new Uint8Array(whole));
    }),
  );
  assert.throws(() => encodeZ85(bytes.subarray(1)), { code: 'EINVAL' });
  for (const wrong of ['Hell', 'Hell~', '#####']) assert.throws(() => decodeZ85(wrong), { code: 'EINVAL' }, wrong);
});

const certificate: Certificate = {
  metadata: new Map([
    ['name', 'fluke'],
    ['keygen.time', '2026-11-21T15:50:36'],
  ]),
  publicKey: new Uint8Array(32).fill(1),
  secretKey: new Uint8Array(32).fill(255),
};

test('certificates are read as they were written', () => {
  const text = encodeCertificate(certificate);
  assert.match(text, /\n\nmetadata\n {4}name = "fluke"\n/);
  const { metadata, publicKey, secretKey } = parseCertificate(text);
  assert.deepEqual(
    { metadata, publicKey: new Uint8Array(publicKey), secretKey: new Uint8Array(secretKey) },
    certificate,
  );
  assert.throws(() => encodeCertificate({ ...certificate, metadata: new Map([['a b', '']]) }), { code: 'EINVAL' });
});

test('what is no certificate is refused with its line', () => {
  const text = encodeCertificate(certificate);
  const rows: [string, RegExp][] = [
    ['', /lacks a key/],
    [text.replace(/secret-key.*/, ''), /lacks a key/],
    [text.replace('curve', 'curves'), /line 7 /],
    [text.replace('    name = "fluke"', '    name = fluke'), /line 5 /],
    [text.replace('metadata', ''), /line 5 /],
    [text.replace('"fluke"', '"flu\'ke"'), /name: /],
    [text.replace(/public-key = "...../, 'public-key = "'), /28 bytes, not 32/],
  ];
  for (const [wrong, sentence] of rows) assert.throws(() => parseCertificate(wrong), sentence);
});
