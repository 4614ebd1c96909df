/**
 * Messages to a broker on another machine: `ssh://[USER@]HOST[:PORT]/PATH` runs `flux relay PATH` there, by `ssh` or what
 * FLUX_SSH names. Everything that is said goes over one socket, which is standard input and output of that command.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import type net from 'node:net';
import path from 'node:path';
import { asFluxError, FluxError } from '../errno.ts';
import { quoteShellWord } from '../formats/shell-words.ts';
import { awaitWelcome, type SocketTransport } from './socket-transport.ts';
import type { TransportEvents } from './transport.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Where the socket is until the shell has put it in place. */
const SOCKET_FD = 3;
/** Of what the command says when it fails. */
const STDERR_MAX = 4096;

/**
 * The command that connects to an address, as flux-core's connector has it. A shell of the other side reads it, and a URI may
 * be another user's.
 *
 * @param address `[USER@]HOST[:PORT]/PATH`
 * @throws FluxError EINVAL: it is no address
 */
export function sshCommand(address: string, environment: Environment): string[] {
  const [, user = '', host, port, socket] = /^(?!-)([^@/:]+@)?([^@/:]+)(?::(\d+))?(\/[^?#]+)$/.exec(address) ?? [];
  if (host === undefined || socket === undefined)
    throw new FluxError('EINVAL', `'ssh://${address}' does not name a host and a path`);
  const { FLUX_SSH = 'ssh', FLUX_SSH_RCMD, LD_LIBRARY_PATH } = environment;
  const settings = [
    // Shells that are started like this may not find what those of a terminal do.
    ...(FLUX_SSH_RCMD === undefined ? [`PATH=${remotePath(socket, environment.PATH)}`] : []),
    ...(LD_LIBRARY_PATH === undefined ? [] : [`LD_LIBRARY_PATH=${LD_LIBRARY_PATH}`]),
  ];
  return [
    FLUX_SSH,
    ...(port === undefined ? [] : ['-p', port]),
    `${user}${host}`,
    ...(settings.length ? ['env', ...settings.map(quoteShellWord)] : []),
    FLUX_SSH_RCMD ?? 'flux',
    'relay',
    quoteShellWord(socket),
  ];
}

/** What the other side searches for `flux`, and for Node: where the instance has it, and where it is here. */
function remotePath(socket: string, searched = ''): string {
  const flux = searched.split(':').find((folder) => folder && fs.existsSync(path.join(folder, 'flux')));
  const folders = [path.join(path.dirname(socket), 'bin'), flux, path.dirname(process.execPath), '/bin', '/usr/bin'];
  return [...new Set(folders.filter(Boolean))].join(':');
}

/**
 * Connects to a broker on another machine.
 *
 * @throws FluxError EINVAL: no address; ECONNREFUSED: what the command said when it failed; what the broker refused with
 */
export async function connectSsh(address: string, events: TransportEvents): Promise<SocketTransport> {
  const command = sshCommand(address, process.env);
  const move = `exec "$@" <&${SOCKET_FD} >&${SOCKET_FD} ${SOCKET_FD}>&-`;
  const child = spawn('/bin/sh', ['-c', move, 'flux-ssh', ...command], { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] });
  const said = new Promise<string>((resolve) => collect(child, resolve));
  try {
    const transport = await awaitWelcome(child.stdio[SOCKET_FD] as net.Socket, `'${command[0]}'`, events);
    child.stderr!.on('data', (text: string) => process.stderr.write(text));
    // The socket alone keeps the process alive.
    (child.stderr as net.Socket).unref();
    child.unref();
    return transport;
  } catch (error) {
    const { errno, code, message } = asFluxError(error);
    const why = (await said).trim();
    throw new FluxError(code === 'ECONNRESET' ? 'ECONNREFUSED' : errno, why || message);
  }
}

/** Tells what a command has written to its standard error by the time that it is over. */
function collect(child: ChildProcess, over: (text: string) => void): void {
  let text = '';
  child.stderr!.setEncoding('utf8').on('data', (more: string) => {
    if (text.length < STDERR_MAX) text += more;
  });
  child.on('error', (error) => over(error.message));
  child.on('close', () => over(text));
}
