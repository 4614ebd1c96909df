/** A job as the service job-list tells of it, and what follows from that. */

import { FluxError } from '../core/errno.ts';
import { formatDurationBriefly } from '../core/formats/duration.ts';
import { encodeFluid, type FluidForm } from '../core/formats/fluid.ts';
import { NamedInteger } from '../core/formats/python-format.ts';
import { signalText } from '../core/formats/signal.ts';
import { strftime } from '../core/formats/strftime.ts';
import type { JsonObject, JsonValue, Real } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';
import type { InstanceInfo } from './instance-info.ts';
import { type Naming, PENDING, RUNNING, resultNaming, stateNaming } from './job-naming.ts';
import { isLocalForced, localUri } from './uri-forms.ts';
import { userName } from './users.ts';

const RUN = 16;
const CANCELED = 4;
const FAILED = 2;

/** Users' names, each looked up once. */
const userNames = new Map<number, string>();

export class JobInfo {
  readonly raw: JsonObject;
  readonly id: NamedInteger;
  /** Seconds since 1970: the present, one for all jobs that are shown together. */
  readonly now: number;
  /** What the instance tells that the job is, when it was asked. */
  instance: InstanceInfo | undefined;
  #uri: string | undefined | null;

  /** @throws FluxError EINVAL: it has no id */
  constructor(raw: JsonObject, now = Date.now() / 1000) {
    const { id } = raw;
    if (!(typeof id === 'bigint' || (typeof id === 'number' && Number.isInteger(id) && id >= 0)))
      throw new FluxError('EINVAL', 'a job has no id');
    this.raw = raw;
    this.id = new NamedInteger(BigInt(id), () => this.encodeId('f58'));
    this.now = now;
  }

  /** The id in a notation. */
  encodeId(form: FluidForm): string {
    return encodeFluid(this.id.value, form);
  }

  /**
   * An attribute that every job has.
   *
   * @throws FluxError EINVAL: this one was not told of
   */
  required(name: string): JsonValue {
    const value = this.raw[name];
    if (value === undefined) throw new FluxError('EINVAL', `job ${this.id} has no ${name}`);
    return value;
  }

  /** A number that may not be there. */
  number(name: string): number {
    const value = this.raw[name];
    return value === undefined || value === '' ? 0 : Number(value as number | bigint | Real);
  }

  get state(): Naming {
    return stateNaming(Number(this.required('state')));
  }

  get result(): Naming {
    const { result } = this.raw;
    return resultNaming(result === undefined ? undefined : Number(result));
  }

  /** The state while the job is active, then its result. */
  get status(): Naming {
    const { state } = this;
    return state.bit & (PENDING | RUNNING) ? state : this.result;
  }

  get isRunning(): boolean {
    return this.raw.state === RUN;
  }

  get userName(): string {
    const userid = Number(this.required('userid'));
    const name = userNames.get(userid) ?? userName(userid);
    userNames.set(userid, name);
    return name;
  }

  /** The URI of the instance that the job is, when it has told one. */
  get uri(): string | undefined {
    if (this.#uri === undefined) {
      const told = this.annotation(['user', 'uri']);
      this.#uri = typeof told !== 'string' || told === '' ? null : isLocalForced() ? localUri(told) : told;
    }
    return this.#uri ?? undefined;
  }

  /** What annotations have at the end of a path. */
  annotation(path: readonly string[]): JsonValue | undefined {
    return path.reduce<JsonValue | undefined>(
      (value, key) => (isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined),
      this.raw.annotations ?? {},
    );
  }

  /** Seconds that it ran, or runs. */
  get runtime(): number {
    const [start, end] = [this.number('t_run'), this.number('t_cleanup')];
    if (start <= 0) return 0;
    return end > 0 ? end - start : this.now - start;
  }

  /** Seconds that it may run still. */
  get remaining(): number {
    if (this.raw.state === undefined || this.status.name !== 'RUN') return 0;
    return Math.max(0, this.number('expiration') - this.now);
  }

  /** The exit code, or the signal that ended it, negated; -128 when it was cancelled before it ran. */
  get returncode(): number | '' {
    const { waitstatus, result } = this.raw;
    if (typeof waitstatus !== 'number') return result === CANCELED ? -128 : result === FAILED ? 1 : '';
    const signum = waitstatus & 0x7f;
    if (signum === 0) return (waitstatus >> 8) & 0xff;
    return signum === 0x7f ? '' : -signum;
  }

  get dependencies(): string[] {
    const { dependencies } = this.raw;
    return Array.isArray(dependencies) ? dependencies.map((each) => describeDependency(String(each), this.now)) : [];
  }

  /** What it waits for, or the nodes that it has. */
  get contextualInfo(): string {
    switch (this.state.name) {
      case 'PRIORITY':
        return 'priority-wait';
      case 'DEPEND':
        return `depends:${this.dependencies.join(',')}`;
      case 'SCHED':
        return this.#waitReason;
      default:
        return String(this.raw.nodelist ?? '');
    }
  }

  get #waitReason(): string {
    const estimate = this.annotation(['sched', 't_estimate']);
    if (estimate !== undefined && estimate !== null) {
      const eta = Number(estimate) - this.now;
      return `eta:${eta < 0 ? 'now' : formatDurationBriefly(eta)}`;
    }
    if (this.required('urgency') === 0) return 'held';
    return this.raw.priority === 0 ? 'priority-hold' : '';
  }

  /** How long it ran, or before that, how long it may run. */
  get contextualTime(): number {
    return this.state.bit & PENDING ? this.number('duration') : this.runtime;
  }

  /** Why it ended. */
  get inactiveReason(): string {
    if (this.state.name !== 'INACTIVE') return '';
    const { exception_note: note, exception_type: type, exception_occurred: occurred } = this.raw;
    switch (this.result.name) {
      case 'CANCELED':
        return occurred && type === 'cancel' && note ? `Canceled: ${note}` : 'Canceled';
      case 'TIMEOUT':
        return 'Timeout';
      case 'FAILED':
        if (!occurred || type === 'exec' || this.raw.exception_severity !== 0) break;
        return `Exception: type=${type}${note ? ` note=${note}` : ''}`;
    }
    return this.result.name === 'FAILED' ? describeFailure(Number(this.returncode)) : `Exit ${this.returncode}`;
  }
}

/** Exit codes as shells give them (POSIX, "Exit Status for Commands"). */
function describeFailure(code: number): string {
  if (code > 128) return signalText(code - 128);
  if (code === 126) return 'Command invoked cannot execute';
  if (code === 127) return 'command not found';
  return code === 128 ? 'Invalid argument to exit' : `Exit ${code}`;
}

/** A dependency as people read it: a time is one of the clock, and has a date when it is not today. */
function describeDependency(text: string, now: number): string {
  if (!text.startsWith('begin-time=')) return text;
  const time = new Date(Number(text.slice('begin-time='.length)) * 1000);
  if (Number.isNaN(time.getTime())) return text;
  const isToday = time.toDateString() === new Date(now * 1000).toDateString();
  const seconds = time.getSeconds() ? ':%S' : '';
  return `begin@${strftime((isToday ? '%H:%M' : '%b%d-%H:%M') + seconds, time)}`;
}
