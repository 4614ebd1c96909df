/** `flux keygen`: makes the certificate by which the brokers of an instance trust each other. */

import { generateKeyPairSync } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import { about } from '../core/errno.ts';
import { type Certificate, encodeCertificate, KEY_BYTES } from '../core/formats/certificate.ts';
import { FLUX_CORE_VERSION } from '../core/node/instance.ts';
import { collect, runCommand, subcommand } from './command.ts';
import { formatLocal } from './timestamps.ts';

/** `flux keygen [--name=NAME] [--meta=KEY=VALUE,…] [PATH]` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand('keygen', 'Make a certificate for the overlay network.')
    .argument('[path]', 'file to write it to')
    .option('-n, --name <NAME>', 'Its name; by default that of this host.')
    .option('--meta <KEY=VALUE,...>', 'More that it says of itself.', collect, [])
    .action((path: string | undefined, options: { name?: string; meta: string[] }) => {
      const text = encodeCertificate(makeCertificate(options.name, options.meta));
      if (path === undefined)
        console.error('flux-keygen: the certificate is not kept: there is no PATH to write it to');
      else write(path, text);
    });
  return runCommand(command, args);
}

function makeCertificate(name: string | undefined, meta: readonly string[]): Certificate {
  return { metadata: metadataOf(name, meta), ...makeKeyPair() };
}

/**
 * A new pair of X25519 keys.
 *
 * They come as DER, whose last bytes are the key. A key object that is exported as JWK waits for itself for ever when the
 * garbage collector runs meanwhile: the export holds the lock that the end of the generating job takes.
 */
export function makeKeyPair(): Pick<Certificate, 'publicKey' | 'secretKey'> {
  const { publicKey, privateKey } = generateKeyPairSync('x25519', {
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
  });
  return { publicKey: publicKey.subarray(-KEY_BYTES), secretKey: privateKey.subarray(-KEY_BYTES) };
}

/** What the user says of it, and what he leaves to us; of a name given twice the first holds. */
function metadataOf(name: string | undefined, meta: readonly string[]): Map<string, string> {
  const given = meta.flatMap((list) => list.split(',')).filter(Boolean);
  const entries: readonly (readonly [string, string | undefined])[] = [
    ['name', name],
    ...given.map((entry): [string, string] => {
      const equals = entry.indexOf('=');
      return equals < 0 ? [entry, ''] : [entry.slice(0, equals), entry.slice(equals + 1)];
    }),
    ['name', os.hostname()],
    ['keygen.hostname', os.hostname()],
    ['keygen.time', formatLocal(Date.now() / 1000, 0)],
    ['keygen.userid', String(os.userInfo().uid)],
    ['keygen.flux-core-version', FLUX_CORE_VERSION],
  ];
  const metadata = new Map<string, string>();
  for (const [key, value] of entries) if (value !== undefined && !metadata.has(key)) metadata.set(key, value);
  return metadata;
}

/** Only the owner may read it. */
function write(path: string, text: string): void {
  try {
    const file = fs.openSync(path, 'w', 0o600);
    try {
      fs.fchmodSync(file, 0o600);
      fs.writeFileSync(file, text);
    } finally {
      fs.closeSync(file);
    }
  } catch (error) {
    throw about(path, error);
  }
}
