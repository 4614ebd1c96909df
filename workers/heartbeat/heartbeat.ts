/**
 * The module `heartbeat`: rank 0 publishes `heartbeat.pulse` once a period; the other ranks notice when it stays away,
 * and give their parent up when it stays away too long.
 */

import type { ModuleDefinition, ServiceContext, Timer } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { formatDuration, parseDuration } from '../../core/formats/duration.ts';
import type { Methods } from '../../core/handle/methods.ts';
import { type JsonObject, real } from '../../core/json.ts';
import { unpackTable } from '../../core/message/unpack.ts';

interface Settings {
  /** Seconds between two pulses. */
  readonly period: number;
  /** Seconds without a pulse after which the parent is given up; -1: never. */
  readonly timeout: number;
  /** Periods without a pulse after which that is logged. */
  readonly warnThreshold: number;
}

const defaults: Settings = { period: 2, timeout: 300, warnThreshold: 3 };

function parse(what: string, text: string): number {
  try {
    return parseDuration(text);
  } catch {
    throw new FluxError('EINVAL', `error parsing ${what} FSD value '${text}'`);
  }
}

/** The settings of the [heartbeat] table. */
function fromConfig(config: JsonObject): Settings {
  const table = unpackTable(config, 'heartbeat', { period: 's?', timeout: 's?', warn_thresh: 'i?' });
  const period = table.period === undefined ? defaults.period : parse('heartbeat.period', table.period);
  let timeout = table.timeout === undefined ? defaults.timeout : parse('heartbeat.timeout', table.timeout);
  if (timeout === 0 || timeout === Infinity) timeout = -1;
  const warnThreshold = table.warn_thresh ?? defaults.warnThreshold;
  if (!(period > 0)) throw new FluxError('EINVAL', 'heartbeat.period must be a positive FSD value');
  if (timeout !== -1 && timeout < 2 * period)
    throw new FluxError('EINVAL', 'heartbeat.timeout must be >= 2*heartbeat.period, infinity, or 0');
  if (warnThreshold <= 0) throw new FluxError('EINVAL', 'heartbeat.warn_thresh must be positive');
  return { period, timeout, warnThreshold };
}

/** The settings of module arguments, on top of those of the configuration. */
function fromArguments(settings: Settings, args: readonly string[]): Settings {
  let { period } = settings;
  for (const arg of args) {
    const match = /^period=(.*)$/.exec(arg);
    if (!match) throw new FluxError('EINVAL', `${arg}: unknown option`);
    period = parse('period', match[1]!);
    if (!(period > 0)) throw new FluxError('EINVAL', 'period must be a positive FSD value');
  }
  return { ...settings, period };
}

export const heartbeat: ModuleDefinition = {
  start: (context, args) => new Heartbeat(context, fromArguments(fromConfig(context.config), args)),
};

class Heartbeat {
  readonly #context: ServiceContext;
  #settings: Settings;
  #timer: Timer | undefined;
  #count = 0;
  #lastPulse: number;
  #overdue = false;
  #gaveUp = false;

  constructor(context: ServiceContext, settings: Settings) {
    this.#context = context;
    this.#settings = settings;
    this.#lastPulse = context.clock.monotonic();
    if (context.rank > 0) context.subscribe('heartbeat.pulse', () => this.#pulse());
    this.#beat();
  }

  #schedule(): void {
    this.#timer = this.#context.clock.after(this.#settings.period, () => this.#beat());
  }

  #beat(): void {
    if (this.#context.rank === 0) this.#publish();
    else this.#check();
    this.#schedule();
  }

  #publish(): void {
    this.#count++;
    this.#context
      .publish('heartbeat.pulse')
      .catch((error: Error) => this.#context.log('err', `error publishing heartbeat: ${error.message}`));
  }

  #pulse(): void {
    this.#count++;
    this.#lastPulse = this.#context.clock.monotonic();
  }

  #check(): void {
    const { period, timeout, warnThreshold } = this.#settings;
    const silence = this.#context.clock.monotonic() - this.#lastPulse;
    const overdue = silence > period * warnThreshold;
    if (overdue !== this.#overdue) this.#context.log('warning', overdue ? 'heartbeat overdue' : 'heartbeat received');
    this.#overdue = overdue;
    if (timeout === -1 || silence < timeout || this.#gaveUp) return;
    this.#gaveUp = true;
    this.#context.notify('overlay.disconnect-parent', { reason: `no heartbeat for ${formatDuration(silence, 2)}` });
  }

  configure(config: JsonObject): void {
    const { period } = this.#settings;
    this.#settings = fromConfig(config);
    if (this.#settings.period === period) return;
    this.#timer?.cancel();
    this.#beat();
  }

  readonly methods: Methods = {
    // The owner's, other than the counts of most modules.
    'stats-get': {
      handler: () => {
        const { period, timeout, warnThreshold } = this.#settings;
        return { period: real(period), timeout: real(timeout), count: this.#count, warn_thresh: warnThreshold };
      },
    },
  };

  stop(): void {
    this.#timer?.cancel();
  }
}
