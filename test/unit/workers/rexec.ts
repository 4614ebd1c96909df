/** An instance whose programs do what tests tell them, and the requests that run them. */

import type { JsonObject } from '../../../core/json.ts';
import { type Call, owner, type SimulatedClient } from '../../sim/client.ts';
import type { SimulatedProcess } from '../../sim/programs.ts';
import { Simulation, type SimulationOptions } from '../../sim/simulation.ts';

/** Flags of requests to run (RFC 42). */
export const Flags = { stdout: 1, stderr: 2, channel: 4, writeCredit: 8, waitable: 16 } as const;

export interface Run {
  readonly call: Call;
  readonly process: SimulatedProcess;
}

/** One program, `prog`, that waits for what the test makes it do. */
export class RexecBench {
  readonly sim: Simulation;
  readonly client: SimulatedClient;
  #last: SimulatedProcess | undefined;

  private constructor(options: SimulationOptions) {
    const prog = (process: SimulatedProcess) => {
      this.#last = process;
    };
    this.sim = new Simulation({ programs: { prog }, ...options });
    this.client = this.sim.connect(0, owner);
  }

  static async start(options: SimulationOptions = {}): Promise<RexecBench> {
    const bench = new RexecBench(options);
    await bench.sim.start();
    await bench.sim.settle();
    return bench;
  }

  /** A request to run, which the broker may refuse. */
  exec(cmd: JsonObject = {}, more: JsonObject = {}, client = this.client): Call {
    return client.stream('rexec.exec', request(cmd, more));
  }

  /** A request to run in the background. */
  background(cmd: JsonObject = {}, more: JsonObject = {}, client = this.client): Call {
    return client.call('rexec.exec', request(cmd, more));
  }

  /** Runs the program, and goes on until it is there. */
  async run(call: Call): Promise<Run> {
    this.#last = undefined;
    await this.sim.when(() => this.#last !== undefined, 'a process');
    await this.sim.settle();
    return { call, process: this.#last! };
  }

  async list(client = this.client): Promise<{ pid: number; cmd: string; label: string; state: string }[]> {
    return (await client.rpc<{ procs: { pid: number; cmd: string; label: string; state: string }[] }>('rexec.list'))
      .procs;
  }

  /** Sends input to the program that a request started. */
  write({ call }: Run, io: JsonObject, client = this.client): void {
    client.notify('rexec.write', { matchtag: call.request.matchtag, io });
  }

  logged(pattern: RegExp): string[] {
    return this.sim.node.stderr.map(({ text }) => text).filter((text) => pattern.test(text));
  }
}

function request(cmd: JsonObject, more: JsonObject): JsonObject {
  const command = { cmdline: ['prog'], env: { A: '1' }, opts: {}, channels: [], ...cmd };
  return { cmd: command, flags: Flags.stdout | Flags.stderr, ...more };
}

/** The answers of a call by what they are, the last as the errno's name. */
export function answersOf({ answers }: Call): unknown[] {
  return answers.map((answer) => {
    if (answer.errnum) return answer.error().code;
    const { type, pid: _, io, ...rest } = answer.json as JsonObject;
    if (type !== 'output') return Object.keys(rest).length ? { type, ...rest } : type;
    const { stream, data, eof, encoding } = io as JsonObject;
    return [stream, eof ? null : encoding === 'base64' ? Buffer.from(String(data), 'base64') : data];
  });
}
