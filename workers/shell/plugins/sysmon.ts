/**
 * `-o sysmon`: tells of memory and processors that the control group of a rank uses: at the end, and with `-o verbose=2`
 * at every heartbeat or each `sysmon.period`.
 */

import type { Timer } from '../../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../../core/errno.ts';
import { parseDuration } from '../../../core/formats/duration.ts';
import { formatSize } from '../../../core/formats/size.ts';
import { type JsonValue, Real } from '../../../core/json.ts';
import { isObject } from '../../../core/message/unpack.ts';
import { LogLevel, type Shell, type ShellPlugin } from '../plugin.ts';
import { Cgroup } from './cgroup.ts';

const name = 'sysmon';
const HEARTBEAT = 'heartbeat.pulse';

/** From this verbosity on it tells what is used meanwhile. */
const PERIODIC_VERBOSITY = 2;

export const sysmonPlugin: ShellPlugin = {
  name,
  load(shell) {
    let monitor: Monitor | undefined;
    return {
      'shell.init'() {
        const option = shell.option(name);
        if (option === undefined) return undefined;
        monitor = new Monitor(shell, parsePeriod(option));
        return monitor.open();
      },
      'shell.start': () => monitor?.start(),
      'shell.exit': () => monitor?.report(),
      destroy: () => monitor?.stop(),
    };
  },
};

/**
 * Seconds; undefined for the heartbeat.
 *
 * @throws FluxError EINVAL: a member that is not known, no duration
 */
export function parsePeriod(option: JsonValue): number | undefined {
  if (!isObject(option)) return undefined;
  const { period, ...unknown } = option;
  if (Object.keys(unknown).length)
    throw new FluxError('EINVAL', `option parse error: ${Object.keys(unknown).join(', ')} is not known`);
  const value = period instanceof Real ? period.value : period;
  if (value === undefined) return undefined;
  if (typeof value === 'number' && value >= 0) return value;
  try {
    if (typeof value === 'string') return parseDuration(value);
  } catch {
    // As any other value that is none.
  }
  throw new FluxError('EINVAL', 'sysmon.period is not a valid FSD');
}

/** Processor time used by a moment, in seconds. */
interface Sample {
  readonly time: number;
  readonly used: number;
}

class Monitor {
  readonly #shell: Shell;
  readonly #period: number | undefined;
  #cgroup: Cgroup | undefined;
  #hasMemory = false;
  #hasCpu = false;
  #first: Sample | undefined;
  #last: Sample | undefined;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(shell: Shell, period: number | undefined) {
    this.#shell = shell;
    this.#period = period;
  }

  async open(): Promise<void> {
    this.#cgroup = await Cgroup.find(this.#shell.files);
    if (!this.#cgroup) {
      this.#log(LogLevel.warn, 'incompatible cgroup configuration (disabled)');
      return;
    }
    this.#hasCpu = await this.#cgroup.has('cpu.stat');
    if (!this.#hasCpu) this.#log(LogLevel.warn, 'no cpu.stat (disabled)');
    this.#hasMemory = (await this.#cgroup.has('memory.peak')) && (await this.#cgroup.has('memory.current'));
    if (!this.#hasMemory) this.#log(LogLevel.warn, 'no memory.peak/memory.current (disabled)');
    if (this.#hasCpu || this.#hasMemory) this.#log(LogLevel.debug, 'sysmon is enabled');
  }

  async start(): Promise<void> {
    if (!this.#hasCpu && !this.#hasMemory) return;
    this.#first = this.#last = await this.#sample();
    if (this.#shell.verbosity < PERIODIC_VERBOSITY) return;
    if (this.#period === undefined) this.#shell.context.subscribe(HEARTBEAT, this.#poll);
    else this.#schedule(this.#period);
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#shell.context.unsubscribe(HEARTBEAT, this.#poll);
  }

  /** What the job has used in all. */
  async report(): Promise<void> {
    this.stop();
    if (this.#hasMemory) this.#log(LogLevel.notice, `memory.peak=${await this.#memory('memory.peak')}`);
    const load = await this.#load(this.#first);
    if (load !== undefined) this.#log(LogLevel.notice, `loadavg-overall=${load}`);
  }

  #schedule(period: number): void {
    this.#timer = this.#shell.context.clock.after(period, () => {
      this.#poll();
      this.#schedule(period);
    });
  }

  readonly #poll = (): void => {
    this.#tell().catch((error: unknown) => this.#log(LogLevel.error, asFluxError(error).message));
  };

  async #tell(): Promise<void> {
    if (this.#hasMemory) this.#log(LogLevel.trace, `memory.current=${await this.#memory('memory.current')}`);
    const load = await this.#load(this.#last);
    if (load === undefined) return;
    this.#log(LogLevel.trace, `loadavg=${load}`);
    this.#last = await this.#sample();
  }

  async #memory(file: string): Promise<string> {
    const bytes = await this.#cgroup?.number(file).catch(() => undefined);
    return bytes === undefined ? 'unknown' : formatSize(bytes);
  }

  async #sample(): Promise<Sample | undefined> {
    if (!this.#cgroup || !this.#hasCpu) return undefined;
    const microseconds = await this.#cgroup.number('cpu.stat', 'usage_usec').catch(() => undefined);
    if (microseconds === undefined) return undefined;
    return { time: this.#shell.context.clock.monotonic(), used: microseconds * 1e-6 };
  }

  /** How many processors were busy since a sample, with two digits. */
  async #load(since: Sample | undefined): Promise<string | undefined> {
    const now = since && (await this.#sample());
    if (!now) return undefined;
    const seconds = now.time - since.time;
    return (seconds > 0 ? (now.used - since.used) / seconds : 0).toFixed(2);
  }

  #log(level: LogLevel, message: string): void {
    this.#shell.log(level, message, name);
  }
}
