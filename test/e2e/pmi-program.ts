/** Programs of several processes, with a PMI server that each has at its own file descriptor, as launchers do it. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { PmiServer } from '../../core/pmi/simple-server.ts';
import { PmiLines } from '../../core/pmi/wire.ts';

export interface Ended {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface LaunchOptions {
  /** What it calls its key-value space. */
  readonly name?: string;
  /** Keys that are there from the start, beside those that tell which processes share a node: all do. */
  readonly values?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The processes as they are started, by rank. */
  readonly started?: (processes: readonly ChildProcess[]) => void;
}

/** Runs a program as so many processes; an abort kills them. */
export async function launchProgram(
  size: number,
  program: string,
  args: readonly string[] = [],
  { name = 'program', values, env, started }: LaunchOptions = {},
): Promise<{ ended: Ended[]; aborts: string[] }> {
  const aborts: string[] = [];
  const processes = Array.from({ length: size }, (_, rank) =>
    spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        ...env,
        PMI_FD: '3',
        PMI_RANK: String(rank),
        PMI_SIZE: String(size),
      },
    }),
  );
  const server = new PmiServer({
    name,
    size,
    values: { 'flux.taskmap': `[[0,1,${size},1]]`, PMI_process_mapping: `(vector,(0,1,${size}))`, ...values },
    send: (rank, line) => void (processes[rank]!.stdio[3] as Duplex).write(line),
    abort: (rank, exitCode, message) => {
      aborts.push(`${rank} ${exitCode} ${message}`);
      for (const each of processes) each.kill();
    },
  });
  started?.(processes);
  const ended = await Promise.all(
    processes.map(async (each, rank) => {
      const lines = new PmiLines();
      const own = each.stdio[3] as Duplex;
      own.on('data', (bytes) => {
        for (const line of lines.take(String(bytes))) server.receive(rank, line);
      });
      // One that ends does not read all that it was told.
      own.on('error', () => {});
      const [[exit], stdout, stderr] = await Promise.all([once(each, 'exit'), text(each.stdout!), text(each.stderr!)]);
      return { exit: exit as number | null, stdout, stderr };
    }),
  );
  return { ended, aborts };
}
