// Certificates in files: read as they were written, by their owner alone.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { type Certificate, publicKeyOf } from '../../../core/formats/certificate.ts';
import { readCertificate, writeCertificate } from '../../../core/node/certificate-file.ts';
import { throwsCode } from '../../errors.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-certificate-test-'));
after(() => fs.rmSync(folder, { recursive: true }));

const secretKey = Buffer.alloc(32, 7);
const certificate: Certificate = {
  metadata: new Map([['name', 'fluke']]),
  publicKey: publicKeyOf(secretKey),
  secretKey,
};

/** The path of a new certificate. */
function written(name: string): string {
  const file = path.join(folder, name);
  writeCertificate(file, certificate);
  return file;
}

test('a certificate is read as it was written, and is for its owner alone', () => {
  const file = path.join(folder, 'old');
  fs.writeFileSync(file, 'something longer than the certificate is'.repeat(100), { mode: 0o644 });
  writeCertificate(file, certificate);
  assert.equal(fs.statSync(file).mode & 0o777, 0o600);
  const { metadata, ...keys } = readCertificate(file);
  assert.deepEqual([...metadata], [['name', 'fluke']]);
  assert.deepEqual(
    [keys.publicKey, keys.secretKey].map((key) => Buffer.from(key)),
    [certificate.publicKey, secretKey],
  );
});

test('a certificate that others can read is refused', () => {
  const file = written('open');
  for (const mode of [0o640, 0o604, 0o644]) {
    fs.chmodSync(file, mode);
    throwsCode(() => readCertificate(file), 'EPERM', new RegExp(`^${file}: .*mode 0${mode.toString(8)}`));
  }
  for (const mode of [0o400, 0o600, 0o700]) {
    fs.chmodSync(file, mode);
    readCertificate(file);
  }
});

test('a certificate of another user is refused', { skip: process.getuid!() !== 0 && 'needs to be root' }, () => {
  const file = written('foreign');
  fs.chownSync(file, 12345, 12345);
  throwsCode(() => readCertificate(file), 'EPERM', new RegExp(`^${file}: .*another user \\(12345\\)`));
});

test('a pipe that nobody writes to is refused', () => {
  const pipe = path.join(folder, 'pipe');
  execFileSync('mkfifo', ['-m', '600', pipe]);
  throwsCode(() => readCertificate(pipe), 'EINVAL', new RegExp(`^${pipe}: the certificate is no file`));
});

test('what cannot be read or written is told with its path', () => {
  const missing = path.join(folder, 'no', 'file');
  throwsCode(() => readCertificate(missing), 'ENOENT', new RegExp(`^${missing}: No such file`));
  throwsCode(() => writeCertificate(missing, certificate), 'ENOENT', new RegExp(`^${missing}: No such file`));
  throwsCode(() => readCertificate(folder), 'EISDIR', new RegExp(`^${folder}: Is a directory`));
  const file = written('cut');
  fs.truncateSync(file, 60);
  throwsCode(() => readCertificate(file), 'EINVAL', new RegExp(`^${file}: `));
});
