/** Certificates in files, which hold a secret: their owner alone may read them. */

import fs from 'node:fs';
import { about, FluxError } from '../errno.ts';
import { type Certificate, encodeCertificate, parseCertificate } from '../formats/certificate.ts';

const READABLE_BY_OTHERS = 0o044;
const OWNER_ONLY = 0o600;
const { O_RDONLY, O_NONBLOCK } = fs.constants;

/**
 * Reads a certificate.
 *
 * @throws FluxError with the path: EPERM where it is somebody else's, or others may read it; EINVAL where it is no
 * certificate; what reading it failed with, ENOENT for example
 */
export function readCertificate(path: string): Certificate {
  try {
    // Nobody may ever write to a pipe.
    return withFile(path, O_RDONLY | O_NONBLOCK, (file) => {
      const stat = fs.fstatSync(file);
      if (stat.isFIFO()) throw new FluxError('EINVAL', 'the certificate is no file');
      const { uid, mode } = stat;
      if (uid !== process.geteuid!()) throw new FluxError('EPERM', `the certificate belongs to another user (${uid})`);
      if (mode & READABLE_BY_OTHERS) {
        const octal = (mode & 0o777).toString(8).padStart(4, '0');
        throw new FluxError('EPERM', `the certificate can be read by others (mode ${octal}, should be 0600)`);
      }
      return parseCertificate(fs.readFileSync(file, 'utf8'));
    });
  } catch (error) {
    throw about(path, error);
  }
}

/**
 * Writes a certificate, over what may be there.
 *
 * @throws FluxError EINVAL: metadata that has no place in it; what writing failed with, with the path
 */
export function writeCertificate(path: string, certificate: Certificate): void {
  const text = encodeCertificate(certificate);
  try {
    withFile(path, 'w', (file) => {
      // It may be there, with another mode.
      fs.fchmodSync(file, OWNER_ONLY);
      fs.writeFileSync(file, text);
    });
  } catch (error) {
    throw about(path, error);
  }
}

function withFile<T>(path: string, flags: string | number, use: (file: number) => T): T {
  const file = fs.openSync(path, flags, OWNER_ONLY);
  try {
    return use(file);
  } finally {
    fs.closeSync(file);
  }
}
