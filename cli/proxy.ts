/** `flux proxy`: runs a program whose Flux commands go to another instance, all over one connection. */

import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { about, asFluxError, FluxError } from '../core/errno.ts';
import { credentialsFrom } from '../core/handle/connect.ts';
import { FLUX_CORE_VERSION } from '../core/node/instance.ts';
import { ProxyServer } from '../core/node/proxy-server.ts';
import { runCommand, runsAnother, subcommand } from './command.ts';
import { resolveUri } from './uri-resolve.ts';

interface Options {
  readonly force?: boolean;
  readonly nohup?: boolean;
  readonly reconnect?: boolean;
}

const [STDIN, STDOUT, STDERR] = [0, 1, 2];

/** Between one attempt to reconnect and the next. */
const RECONNECT_MS = 2000;

/** `flux proxy [OPTIONS] TARGET [COMMAND…]` */
export async function run(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const command = runsAnother(subcommand('proxy', 'Run a program whose Flux commands go to another instance.'))
    .argument('<target>', 'a job id, or SCHEME:PLACE; see flux-uri(1)')
    .argument('[command...]', 'what a shell is to run; a shell alone when there is nothing')
    .option('-f, --force', 'Go on when the broker is of another version.')
    .option('-n, --nohup', 'Let the program go on when the connection is lost, without SIGHUP.')
    .option('--reconnect', 'Try to connect again when the connection is lost.')
    .action(async (target: string, words: string[], options: Options) => {
      exitCode = await proxy(target, words, options);
    });
  return (await runCommand(command, args)) || exitCode;
}

/** Says something beside the program, whose output stderr is as well. */
function warn(text: string): void {
  write(STDERR, `flux-proxy: ${text}\n`);
}

/** Writes to a stream that the program has, too: Node's own streams would make a pipe non-blocking for both. */
function write(fd: number, text: string): void {
  try {
    fs.writeSync(fd, text);
  } catch {
    // Nobody reads it.
  }
}

async function proxy(target: string, words: readonly string[], options: Options): Promise<number> {
  const uri = await resolveUri(target).catch((error: unknown) => {
    throw about(`Unable to resolve ${target} to a URI`, error);
  });
  let isLost = false;
  let lost = () => {
    isLost = true;
  };
  const server = new ProxyServer({
    userid: os.userInfo().uid,
    credentials: credentialsFrom(process.env),
    tracks: options.reconnect === true,
    lost: () => lost(),
    warn,
  });
  let folder: string | undefined;
  try {
    await server.connect(uri);
    await checkVersion(server, options.force === true);
    folder = makeFolder();
    const socket = path.join(folder, 'local');
    await server.listen(socket);
    if (isLost) throw new FluxError('ECONNRESET', 'lost the connection to Flux');
    // Before it starts: a signal may come before `spawn` has returned.
    passSignals(() => program);
    const program = startProgram(words, `local://${socket}`);
    const ended = awaitEnd(program);
    lost = () => void (options.reconnect ? reconnect(server, uri) : hangUp(server, program, options.nohup === true));
    return await ended;
  } finally {
    await server.settle();
    await server.close();
    if (folder !== undefined) fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** Major and minor version must be those of this program; the patch level and what follows it are of no importance. */
async function checkVersion(server: ProxyServer, isForced: boolean): Promise<void> {
  const answer = await server.router.rpc.rpc('attr.get', { name: 'version' }).catch((error: unknown) => {
    throw about('cannot ask the broker for its version', error);
  });
  const version = String((answer as { readonly value?: unknown } | undefined)?.value);
  const release = (text: string) => /^(\d+\.\d+)\.\d/.exec(text)?.[1];
  if (release(version) === release(FLUX_CORE_VERSION)) return;
  const text = `version ${FLUX_CORE_VERSION} of the proxy may not get on with version ${version} of the broker`;
  if (!isForced) throw new FluxError('EINVAL', `${text} (--force connects all the same)`);
  warn(`warning: ${text}`);
}

/** A folder that only this user can enter: whoever reaches the socket in it is taken for the user. */
function makeFolder(): string {
  let parent = process.env.TMPDIR || '/tmp';
  if (!fs.statSync(parent, { throwIfNoEntry: false })?.isDirectory()) {
    warn(`TMPDIR (${parent}) is no folder: /tmp is used instead`);
    parent = '/tmp';
  }
  return fs.mkdtempSync(path.join(parent, 'flux-proxy-'));
}

// ---- the program

function startProgram(words: readonly string[], uri: string): ChildProcess {
  const shell = process.env.SHELL ?? '/bin/sh';
  const args = words.length ? ['-c', words.join(' ')] : [];
  return spawn(shell, args, { stdio: 'inherit', env: { ...process.env, FLUX_URI: uri } });
}

/** Passes on to the program what would end this process. */
function passSignals(program: () => ChildProcess): void {
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => program().kill(signal));
  for (const signal of ['SIGINT', 'SIGQUIT'] as const)
    process.on(signal, () => {
      // A terminal sends these to the program, too.
      if (!isatty(STDIN)) program().kill(signal);
    });
}

/** Waits for the program, and gives its exit code as a shell does. */
function awaitEnd(program: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    program.on('error', (error) => reject(about(`cannot run ${program.spawnfile}`, asFluxError(error))));
    program.on('exit', (code, signal) => resolve(code ?? 128 + os.constants.signals[signal!]));
  });
}

// ---- a connection that is lost

/** The program is told, and waited for: it may need the terminal that this process holds for it. */
function hangUp(server: ProxyServer, program: ChildProcess, isSpared: boolean): void {
  warn('lost the connection to Flux');
  server.closeClients();
  if (!isSpared) {
    warn('sending SIGHUP to the program');
    program.kill('SIGHUP');
    // One that is stopped can't end.
    program.kill('SIGCONT');
  }
  // Node puts the terminal's settings back when this process ends; what the program may have hidden is the cursor.
  if (isatty(STDIN)) program.on('exit', () => write(STDOUT, '\x1b[?25h\r\n'));
}

async function reconnect(server: ProxyServer, uri: string): Promise<void> {
  warn('lost the connection to Flux: reconnecting');
  while (!(await tryReconnect(server, uri))) await sleep(RECONNECT_MS, undefined, { ref: false });
  warn('reconnected');
}

async function tryReconnect(server: ProxyServer, uri: string): Promise<boolean> {
  try {
    await server.reconnect(uri);
    return true;
  } catch {
    // There will be a broker one day, or the user ends this.
    return false;
  }
}
