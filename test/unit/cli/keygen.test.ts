// Key pairs.

import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { test } from 'node:test';
import { KEY_BYTES, makeKeyPair } from '../../../core/formats/certificate.ts';

/** What stands before a key of X25519 in PKCS #8 (RFC 8410). */
const pkcs8 = Buffer.from('302e020100300506032b656e04220420', 'hex');

test('a pair is a secret key and the public one that belongs to it', () => {
  const { publicKey, secretKey } = makeKeyPair();
  assert.equal(secretKey.length, KEY_BYTES);
  const key = createPrivateKey({ key: Buffer.concat([pkcs8, secretKey]), format: 'der', type: 'pkcs8' });
  const itsPublicKey = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-KEY_BYTES);
  assert.deepEqual(Buffer.from(publicKey), itsPublicKey);
});

test('pairs are made while garbage is collected', () => {
  const seen = new Set(Array.from({ length: 3000 }, () => Buffer.from(makeKeyPair().secretKey).toString('hex')));
  assert.equal(seen.size, 3000);
});
