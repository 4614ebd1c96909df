/**
 * `-o signal=…`: warns a job by a signal before its time is over.
 *
 * SIGUSR1 a minute before the end, or `signal.signum` at `signal.timeleft`; 0 for nothing.
 */

import type { Timer } from '../../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../../core/errno.ts';
import { parseDuration } from '../../../core/formats/duration.ts';
import { parseSignal, signalName } from '../../../core/formats/signal.ts';
import { type Responses, untilEnd } from '../../../core/handle/rpc.ts';
import { type JsonObject, type JsonValue, Real } from '../../../core/json.ts';
import { Flag } from '../../../core/message/message.ts';
import { isObject, unpack } from '../../../core/message/unpack.ts';
import { LogLevel, type Shell, type ShellPlugin } from '../plugin.ts';

const name = 'signal';

export interface Warning {
  readonly signum: number;
  /** Seconds before the job's end. */
  readonly timeleft: number;
}

const DEFAULT: Warning = { signum: parseSignal('USR1'), timeleft: 60 };

/** Timers of more than 24 days go off at once; a day is as good, after which there is another. */
const TIMER_MAX = 86400;

export const signalPlugin: ShellPlugin = {
  name,
  load(shell) {
    if (!shell.isLeader) return undefined;
    let alarm: Alarm | undefined;
    return {
      'shell.init'() {
        const warning = parseWarning(shell.option(name));
        if (!warning) return;
        alarm = new Alarm(shell, warning);
        alarm.set(expiration(shell.R));
        alarm.follow();
      },
      destroy: () => alarm?.stop(),
    };
  },
};

/**
 * What the option asks for; undefined for nothing.
 *
 * @throws FluxError EINVAL: a member of a wrong kind, no duration
 */
export function parseWarning(option: JsonValue | undefined): Warning | undefined {
  if (option === undefined || option === 0) return undefined;
  if (typeof option === 'number' && Number.isInteger(option)) return DEFAULT;
  if (!isObject(option)) throw fault('it is neither an integer nor an object');
  const { signum = DEFAULT.signum, timeleft } = option;
  if (typeof signum !== 'number' || !Number.isInteger(signum)) throw fault('signum is not an integer');
  const seconds = timeleft === undefined ? DEFAULT.timeleft : parseTimeleft(timeleft);
  return seconds > 0 ? { signum, timeleft: seconds } : undefined;
}

function parseTimeleft(value: JsonValue): number {
  const seconds = value instanceof Real ? value.value : value;
  if (typeof seconds === 'number' && seconds >= 0) return seconds;
  const shown = typeof value === 'string' ? value : JSON.stringify(value);
  if (typeof value !== 'string') throw new FluxError('EINVAL', `signal.timeleft=${shown} is invalid`);
  try {
    return parseDuration(value);
  } catch {
    throw new FluxError('EINVAL', `signal.timeleft=${shown} is invalid`);
  }
}

function fault(what: string): FluxError {
  return new FluxError('EINVAL', `error in shell \`signal' option: ${what}`);
}

class Alarm {
  readonly #shell: Shell;
  readonly #warning: Warning;
  #timer: Timer | undefined;
  #end = 0;
  #updates: Responses | undefined;

  constructor(shell: Shell, warning: Warning) {
    this.#shell = shell;
    this.#warning = warning;
  }

  /** Learns of another end that the job is given. */
  follow(): void {
    const { context, jobid } = this.#shell;
    const request = { id: jobid, key: 'R', flags: 0 };
    this.#updates = context.request('job-info.update-watch', request, { flags: Flag.streaming });
    const end = untilEnd(this.#updates, ({ json }) => {
      const { R } = unpack(json, { R: 'o' });
      if (expiration(R) !== this.#end) this.set(expiration(R));
    });
    end
      .then((error) => {
        if (error.code !== 'ENODATA') throw error;
      })
      .catch((error: unknown) => {
        this.#log(LogLevel.warn, `a new end of the job will go unnoticed: ${asFluxError(error).message}`);
      });
  }

  stop(): void {
    this.#timer?.cancel();
    if (!this.#updates) return;
    this.#shell.context.notify('job-info.update-watch-cancel', { matchtag: this.#updates.matchtag });
    this.#updates.abandon();
  }

  /** Waits for the moment; `end` is in seconds since the epoch, 0 for none. */
  set(end: number): void {
    this.#timer?.cancel();
    this.#end = end;
    const signal = signalName(this.#warning.signum);
    if (!end) {
      this.#log(LogLevel.notice, `job has no expiration, ${signal} will not be sent`);
      return;
    }
    const moment = end - this.#warning.timeleft;
    const remaining = Math.max(0, moment - this.#shell.context.clock.now());
    this.#log(LogLevel.debug, `Will send ${signal} to job in ${remaining.toFixed(2)}s`);
    this.#wait(moment);
  }

  #wait(moment: number): void {
    const { clock } = this.#shell.context;
    const remaining = Math.max(0, moment - clock.now());
    this.#timer = clock.after(Math.min(remaining, TIMER_MAX), () => {
      if (remaining > TIMER_MAX) this.#wait(moment);
      else this.#send();
    });
  }

  #send(): void {
    const { signum, timeleft } = this.#warning;
    const signal = signalName(signum);
    this.#log(LogLevel.notice, `job will expire in ${timeleft.toFixed(1)}s, sending ${signal} to job`);
    this.#shell.context.rpc('job-manager.kill', { id: this.#shell.jobid, signum }).catch((error: unknown) => {
      this.#log(LogLevel.error, `failed to send ${signal} to job: ${asFluxError(error).message}`);
    });
  }

  #log(level: LogLevel, message: string): void {
    this.#shell.log(level, message, name);
  }
}

/** Seconds since the epoch; 0 for a job without an end. */
function expiration({ execution }: JsonObject): number {
  const value = isObject(execution) ? execution.expiration : undefined;
  if (value instanceof Real) return value.value;
  return typeof value === 'number' ? value : 0;
}
