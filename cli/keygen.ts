/** `flux keygen`: makes the certificate by which the brokers of an instance trust each other. */

import { generateKeyPairSync } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import { type Certificate, encodeCertificate } from '../core/formats/certificate.ts';
import { FLUX_CORE_VERSION } from '../core/node/instance.ts';
import { about, collect, runCommand, subcommand } from './command.ts';
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
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const raw = (text: string | undefined) => Buffer.from(text ?? '', 'base64url');
  return {
    metadata: metadataOf(name, meta),
    publicKey: raw(publicKey.export({ format: 'jwk' }).x),
    secretKey: raw(privateKey.export({ format: 'jwk' }).d),
  };
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
