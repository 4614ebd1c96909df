/**
 * Hosts for tests: namespaces of this machine with names, addresses, processes and temporary folders of their own, on one
 * bridge. Programs are launched from one more, `login`, which has the bridge.
 *
 * Each is kept by a shell, its first process, which does what it is told on its stdin; so all are gone with all that runs on
 * them when this process ends, however it does. Hosts are made inside of `login`: it has a way into them, and they have none.
 */

import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { type Outcome, type RunOptions, run } from './instance.ts';
import { temporaryFolder } from './support.ts';

/** Milliseconds that a keeper has for one thing. */
const PATIENCE_MS = 10_000;

const NETWORK = '10.71.0';

const unshare = ['unshare', '--net', '--uts', '--ipc', '--mount', '--pid', '--fork', '--mount-proc', '--kill-child'];

/**
 * Keeps the host whose name is its argument. The outer shell only waits, which takes care of orphans. The folder for
 * temporary files has the same path on all hosts, and is another one on each.
 */
const keep = (folder: string) => `(
  set -e
  echo "$1" >/proc/sys/kernel/hostname
  mount --bind "${folder}/hosts" /etc/hosts
  mount -t tmpfs tmpfs "${folder}/tmp"
  mount -t tmpfs tmpfs /dev/shm
  ip link set lo up
  echo done
  while read -r line; do
    if text=$(sh -c "$line" 2>&1 </dev/null); then echo done; else echo "failed: "$text; fi
  done
)
exit`;

/** Words that run those behind them, in `/`, where the process with this id has made namespaces. */
function enter(pid: number | string): string[] {
  return ['nsenter', `--target=${pid}`, '--net', '--uts', '--ipc', '--mount', `--pid=/proc/${pid}/ns/pid_for_children`];
}

/** Plays ssh on `login`, and like it brings no environment along. */
const ssh = (folder: string) => `#!/bin/sh
while :; do
  case $1 in
  -[lopi]) shift 2 ;;
  -*) shift ;;
  *) break ;;
  esac
done
host=\${1#*@}
shift
if ! pid=$(cat "${folder}/pids/$host" 2>/dev/null); then
  echo "ssh: Could not resolve hostname $host: Name or service not known" >&2
  exit 255
fi
exec ${enter('$pid').join(' ')} env -i HOME="$HOME" PATH="$PATH" TMPDIR="${folder}/tmp" sh -c "$*"
`;

/** Why there can be no hosts here; false when there can. */
export function lacksNamespaces(): string | false {
  if (spawnSync('ip', ['-V']).error) return 'ip is not installed (Debian: iproute2)';
  const { status } = spawnSync(unshare[0]!, [...unshare.slice(1), 'true']);
  return status === 0 ? false : 'namespaces cannot be made: that needs root, and in a container CAP_SYS_ADMIN';
}

/** Why Hydra cannot launch programs on hosts; false when it can. */
export function lacksHydra(): string | false {
  if (spawnSync('mpiexec.hydra', ['-version']).error) return 'mpiexec.hydra is not installed (Debian: mpich)';
  return lacksNamespaces();
}

class Keeper {
  readonly name: string;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  readonly #closed: Promise<void>;
  #stderr = '';

  /** Its words stand behind some that say where it is made. */
  constructor(name: string, folder: string, where: readonly string[]) {
    this.name = name;
    const words = [...where, 'sh', '-c', 'echo $$; exec "$@"', 'sh', ...unshare, 'sh', `${folder}/keep`, name];
    const child = spawn(words[0]!, words.slice(1));
    child.stdin.on('error', () => {});
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    this.#child = child;
    this.#closed = new Promise((resolve, reject) => child.on('error', reject).on('close', () => resolve()));
    this.#lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  }

  /** Resolves to the process that made the namespaces, as it is known where they were made, once they are there. */
  async started(): Promise<number> {
    const pid = Number(await this.#line());
    await this.#line();
    return pid;
  }

  /** Runs a line of shell there. */
  async tell(line: string): Promise<void> {
    this.#child.stdin.write(`${line}\n`);
    const answer = await this.#line();
    if (answer !== 'done') throw new Error(`${this.name}: ${line}: ${answer}`);
  }

  async #line(): Promise<string> {
    const { value, done } = await this.#bounded(this.#lines.next());
    if (!done) return value;
    await this.#closed;
    throw new Error(`${this.name} has ended: ${this.#stderr}`);
  }

  async #bounded<T>(work: Promise<T>): Promise<T> {
    const timer = setTimeout(() => {
      this.#child.kill('SIGKILL');
      // What it started may hold them open.
      for (const stream of this.#child.stdio) stream?.destroy();
    }, PATIENCE_MS);
    try {
      return await work;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends all that runs there. */
  end(): Promise<void> {
    this.#child.stdin.end();
    return this.#bounded(this.#closed);
  }
}

/** Which of the hosts, from 0, or where they are launched from. */
export type Place = number | 'login';

/** Hosts `h0`, `h1` and so on. */
export interface Hosts {
  readonly names: readonly string[];
  /** It is the same one on all, and here. */
  readonly folder: string;
  /** Words that run those behind them by Hydra, when they run on `login`. */
  readonly hydra: readonly string[];
  address(place: Place): string;
  /** Words that run those behind them there, in `/`. */
  enter(place: Place): readonly string[];
  /** Runs a command to its end. */
  run(place: Place, words: readonly string[], options?: RunOptions): Promise<Outcome>;
  /** Pulls a host's cable out: nobody is told, nothing comes through. */
  cut(host: number): Promise<void>;
  /** Puts it in again. */
  mend(host: number): Promise<void>;
  /** Ends all that runs on a host, and the host. */
  powerOff(host: number): Promise<void>;
  /** Ends all. */
  stop(): Promise<void>;
}

/**
 * Makes hosts.
 *
 * @throws Error it cannot be done here; `lacksNamespaces` says why
 */
export async function startHosts(count = 4): Promise<Hosts> {
  const folder = temporaryFolder();
  const names = Array.from({ length: count }, (_, host) => `h${host}`);
  const address = (place: Place) => `${NETWORK}.${place === 'login' ? 254 : place + 1}`;
  writeFolder(folder, [
    '127.0.0.1 localhost',
    `${address('login')} login`,
    ...names.map((name, host) => `${address(host)} ${name}`),
  ]);

  const login = new Keeper('login', folder, []);
  try {
    const intoLogin = enter(await login.started());
    const keepers = names.map((name) => new Keeper(name, folder, intoLogin));
    const pids = await Promise.all(keepers.map((keeper) => keeper.started()));
    await login.tell(`ip link add name switch up type bridge && ip address add ${address('login')}/24 dev switch`);
    for (const [host, keeper] of keepers.entries()) {
      fs.writeFileSync(path.join(folder, 'pids', keeper.name), String(pids[host]));
      await login.tell(`ip link add ${keeper.name} master switch up type veth peer name eth0 netns ${pids[host]}`);
      await keeper.tell(`ip address add ${address(host)}/24 dev eth0 && ip link set eth0 up`);
    }
    const ways = (place: Place) => [...intoLogin, ...(place === 'login' ? [] : enter(pids[place]!))];
    return made(folder, login, keepers, address, (place) => [...ways(place), 'env', `TMPDIR=${folder}/tmp`]);
  } catch (error) {
    await login.end();
    throw error;
  }
}

function made(
  folder: string,
  login: Keeper,
  keepers: readonly Keeper[],
  address: Hosts['address'],
  words: Hosts['enter'],
): Hosts {
  const names = keepers.map(({ name }) => name);
  const setLink = (host: number, state: string) => login.tell(`ip link set ${names[host]} ${state}`);
  return {
    names,
    folder,
    hydra: ['mpiexec.hydra', '-hosts', names.join(), '-launcher', 'ssh', '-launcher-exec', `${folder}/ssh`],
    address,
    enter: words,
    run(place, command, options) {
      const [file = '', ...args] = [...words(place), ...command];
      return run(file, args, options);
    },
    cut: (host) => setLink(host, 'down'),
    mend: (host) => setLink(host, 'up'),
    powerOff: (host) => keepers[host]!.end(),
    stop: () => login.end(),
  };
}

/** What hosts find in the folder that they share. */
function writeFolder(folder: string, addresses: readonly string[]): void {
  for (const name of ['tmp', 'pids']) fs.mkdirSync(path.join(folder, name));
  fs.writeFileSync(path.join(folder, 'hosts'), `${addresses.join('\n')}\n`);
  fs.writeFileSync(path.join(folder, 'keep'), keep(folder));
  fs.writeFileSync(path.join(folder, 'ssh'), ssh(folder), { mode: 0o755 });
}
