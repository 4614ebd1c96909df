/** A Slurm of its own for tests: its daemons, in the foreground, with all that they keep in a temporary folder. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { type Outcome, type RunOptions, run } from './instance.ts';
import type { Hosts } from './namespaces.ts';
import { temporaryFolder, until } from './support.ts';

/** Milliseconds until the nodes are up, and until nothing is left of it. */
const START_MS = 30_000;
const STOP_MS = 10_000;

const packages: Readonly<Record<string, string>> = {
  munged: 'munge',
  slurmctld: 'slurmctld',
  slurmd: 'slurmd',
  srun: 'slurm-client',
};

/** Why Slurm cannot be started here; false when it can. */
export function lacksSlurm(): string | false {
  const missing = Object.keys(packages).filter((name) => spawnSync(name, ['-V']).error);
  if (!missing.length) return process.getuid!() === 0 ? false : 'Slurm is started as root only';
  return `not installed: ${missing.join(', ')} (Debian: ${missing.map((name) => packages[name]).join(' ')})`;
}

export interface Slurm {
  /** Words that run a command of Slurm. */
  words(command: string, args: readonly string[]): readonly string[];
  /** Runs a command of Slurm to its end. */
  run(command: string, args: readonly string[], options?: RunOptions): Promise<Outcome>;
  /** Runs `srun ARGS…`, which does not tell that it waits for resources. */
  srun(args: readonly string[], options?: RunOptions): Promise<Outcome>;
  /** Ends it, with all that it has started. */
  stop(): Promise<void>;
}

/** Where daemons run: what the host is called, by which address it is reached, and words that run others on it. */
interface Machine {
  readonly hostname: string;
  readonly address: string;
  readonly enter: readonly string[];
}

interface Daemon {
  readonly machine: Machine;
  readonly port: number;
}

interface Node extends Daemon {
  readonly name: string;
}

/**
 * Starts Slurm with nodes of sixteen processors each: `n0`, `n1` and so on, all on this machine, or one on each of some hosts,
 * which has the host's name. Resolves when they are idle.
 *
 * @throws Error it does not start; what its daemons said is in the message
 */
export async function startSlurm(where: number | Hosts = 4): Promise<Slurm> {
  const folder = temporaryFolder();
  // Daemons do not outlive this process.
  const here: Machine = { hostname: os.hostname(), address: '127.0.0.1', enter: ['setpriv', '--pdeathsig=KILL'] };
  const on = (hosts: Hosts, place: number | 'login'): Machine => ({
    hostname: place === 'login' ? place : hosts.names[place]!,
    address: hosts.address(place),
    enter: hosts.enter(place),
  });
  const names = typeof where === 'number' ? Array.from({ length: where }, (_, node) => `n${node}`) : where.names;
  const [port = 0, ...ports] = await freePorts(1 + names.length);
  const controller: Daemon = { machine: typeof where === 'number' ? here : on(where, 'login'), port };
  const nodes = names.map((name, index): Node => {
    const machine = typeof where === 'number' ? here : on(where, index);
    return { name, machine, port: ports[index]! };
  });
  writeFolder(folder, controller, nodes);
  return launch(folder, controller, nodes);
}

async function launch(folder: string, controller: Daemon, nodes: readonly Node[]): Promise<Slurm> {
  const variable = `SLURM_CONF=${folder}/slurm.conf`;
  const on = ({ enter }: Machine, command: readonly string[]) => [...enter, 'env', variable, ...command];
  const daemons: RunningDaemon[] = [];
  const startDaemon = (machine: Machine, command: readonly string[]) =>
    daemons.push(new RunningDaemon(on(machine, command)));
  const killOnExit = () => killAll(variable);
  process.on('exit', killOnExit);
  const slurm: Slurm = {
    words: (command, args) => on(controller.machine, [command, ...args]),
    run(command, args, options) {
      const [file = '', ...words] = slurm.words(command, args);
      return run(file, words, options);
    },
    srun: (args, options) => slurm.run('srun', ['--quiet', ...args], options),
    async stop() {
      await until(() => killAll(variable), 'nothing is left of Slurm', STOP_MS);
      process.off('exit', killOnExit);
    },
  };
  try {
    startDaemon(controller.machine, mungedCommand(folder));
    await untilStarted(daemons, 'munged listens', () => fs.existsSync(socketOf(folder)));
    startDaemon(controller.machine, ['slurmctld', '-D', '-i']);
    for (const { name, machine } of nodes) startDaemon(machine, ['slurmd', '-D', '-N', name]);
    await untilStarted(daemons, 'all nodes are idle', async () => {
      const { stdout } = await slurm.run('sinfo', ['--noheader', '--states=idle', '--format=%D']);
      return Number(stdout) === nodes.length;
    });
  } catch (error) {
    await slurm.stop();
    throw new Error([(error as Error).message, ...daemons.map((daemon) => daemon.log())].join('\n'));
  }
  return slurm;
}

/** A daemon that has ended is waited for no longer. */
function untilStarted(
  daemons: readonly RunningDaemon[],
  what: string,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  const check = () => {
    if (daemons.some((daemon) => daemon.hasEnded)) throw new Error(`one has ended before ${what}`);
    return condition();
  };
  return until(check, what, START_MS);
}

class RunningDaemon {
  readonly #command: string;
  readonly #child: ChildProcess;
  #stderr = '';

  constructor(words: readonly string[]) {
    this.#command = words.join(' ');
    this.#child = spawn(words[0]!, words.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** What it was and has said. */
  log(): string {
    return `${this.#command}:\n${this.#stderr}`;
  }
}

/** Kills the processes that have a variable in their environment; true when there are none. */
function killAll(variable: string): boolean {
  const pids = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const found = pids.filter((pid) => {
    try {
      return fs.readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(variable);
    } catch {
      return false;
    }
  });
  for (const pid of found)
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  return found.length === 0;
}

/** Ports of this machine that nobody listens on. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = net.createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as net.AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}

// ---- files

const socketOf = (folder: string) => path.join(folder, 'munge.socket');

function mungedCommand(folder: string): string[] {
  const files = {
    socket: socketOf(folder),
    'key-file': 'munge.key',
    'pid-file': 'munge.pid',
    'seed-file': 'munge.seed',
  };
  const options = Object.entries(files).map(([name, file]) => `--${name}=${path.resolve(folder, file)}`);
  // Forced, because others than root may not look into the folder.
  return ['munged', '--foreground', '--force', ...options];
}

function writeFolder(folder: string, controller: Daemon, nodes: readonly Node[]): void {
  for (const { name } of nodes) fs.mkdirSync(path.join(folder, `spool.${name}`));
  fs.writeFileSync(path.join(folder, 'munge.key'), randomBytes(128), { mode: 0o400 });
  fs.writeFileSync(path.join(folder, 'slurm.conf'), configuration(folder, controller, nodes));
  // It is looked at as soon as there is a way to ask for control groups, and nobody does.
  fs.writeFileSync(path.join(folder, 'cgroup.conf'), `CgroupPlugin=cgroup/v1\nCgroupMountpoint=${folder}/cgroup\n`);
}

function configuration(folder: string, controller: Daemon, nodes: readonly Node[]): string {
  return `
ClusterName=test
SlurmctldHost=${controller.machine.hostname}(${controller.machine.address})
SlurmctldPort=${controller.port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=${socketOf(folder)}
CredType=cred/munge
StateSaveLocation=${folder}/state
SlurmctldPidFile=${folder}/slurmctld.pid
SlurmdPidFile=${folder}/slurmd.%n.pid
SlurmdSpoolDir=${folder}/spool.%n
# More processors than there are, and nothing that would need control groups.
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=pmi2
ReturnToService=2
${nodes
  .map(
    ({ name, machine, port }) =>
      `NodeName=${name} NodeHostname=${machine.hostname} NodeAddr=${machine.address} Port=${port} CPUs=16`,
  )
  .join('\n')}
PartitionName=all Nodes=ALL Default=YES State=UP
`;
}
