/** `flux keygen`: makes the certificate by which the brokers of an instance trust each other. */

import os from 'node:os';
import { type Certificate, checkMetadata, makeKeyPair } from '../core/formats/certificate.ts';
import { writeCertificate } from '../core/node/certificate-file.ts';
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
      const certificate = makeCertificate(options.name, options.meta);
      if (path === undefined)
        console.error('flux-keygen: the certificate is not kept: there is no PATH to write it to');
      else writeCertificate(path, certificate);
    });
  return runCommand(command, args);
}

function makeCertificate(name: string | undefined, meta: readonly string[]): Certificate {
  return { metadata: metadataOf(name, meta), ...makeKeyPair() };
}

/**
 * What the user says of it, and what he leaves to us; of a name given twice the first holds.
 *
 * @throws FluxError EINVAL: a name or a value with characters that it must not have
 */
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
  for (const [key, value] of entries) {
    if (value === undefined || metadata.has(key)) continue;
    checkMetadata(key, value);
    metadata.set(key, value);
  }
  return metadata;
}
