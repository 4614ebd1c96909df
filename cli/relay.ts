/**
 * `flux relay PATH`: joins standard input and output with the socket of a broker. It is what the `ssh://` connector runs on
 * the broker's machine; the bytes are the same on both sides.
 */

import net from 'node:net';
import os from 'node:os';
import { about } from '../core/errno.ts';
import { runCommand, subcommand } from './command.ts';

/** `flux relay PATH` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand('relay', "Join standard input and output with a broker's socket: for ssh:// URIs.")
    .argument('<path>', 'the path of the socket')
    .action(relay);
  return runCommand(command, args);
}

async function relay(path: string): Promise<void> {
  const socket = net.connect(path);
  const { stdin, stdout } = process;
  stdin.pipe(socket).pipe(stdout);
  // Whoever asked has gone.
  for (const stream of [stdin, stdout]) stream.on('error', () => socket.destroy());
  try {
    await new Promise<void>((resolve, reject) => socket.on('error', reject).on('close', () => resolve()));
  } catch (error) {
    throw about(`${os.hostname()}: local://${path}`, error);
  } finally {
    stdin.destroy();
  }
}
