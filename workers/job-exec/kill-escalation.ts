/**
 * How a job is ended that does not end when it is asked to: its tasks are killed again and again, then its shells, each time
 * after a longer while, until somebody has to give it up.
 */

import type { ServiceContext, Timer } from '../../core/broker/service.ts';
import { encodeFluid } from '../../core/formats/fluid.ts';
import { signalName } from '../../core/formats/signal.ts';
import { type JsonObject, real } from '../../core/json.ts';
import type { Execution } from './execution.ts';
import type { JobFacts } from './job-facts.ts';
import { type ExecSettings, KILL_INTERVAL_MAX } from './settings.ts';

/** Kill timeouts until shells are killed. */
const SHELL_KILL_FACTOR = 5;
const SIGUSR1 = 10;

export interface KillEscalationHost {
  readonly context: ServiceContext;
  /** As they are now. */
  readonly settings: ExecSettings;
  /** Userid of the instance owner. */
  readonly owner: number;
}

/** What is to be ended. */
export interface KillTarget {
  readonly facts: JobFacts;
  readonly execution: Execution | undefined;
  /** It was killed as often, or for as long, as the settings say. */
  giveUp(why: string): void;
}

export class KillEscalation {
  readonly #host: KillEscalationHost;
  readonly #target: KillTarget;
  #timeout: number;
  #killCount = 0;
  #shellKillCount = 0;
  #isOver = false;
  #timer: Timer | undefined;
  #shellTimer: Timer | undefined;
  #lastTimer: Timer | undefined;

  constructor(host: KillEscalationHost, target: KillTarget) {
    this.#host = host;
    this.#target = target;
    this.#timeout = host.settings.killTimeout;
  }

  get isStarted(): boolean {
    return this.#timer !== undefined;
  }

  /** Begins, unless it has: the first kill comes after the timeout. */
  start(): void {
    if (this.isStarted) return;
    const { clock } = this.#host.context;
    const { maxKillTimeout } = this.#host.settings;
    const interval = this.#timeout;
    const again = () => {
      this.#killTasks();
      this.#timer = clock.after(interval, again);
    };
    this.#timer = clock.after(interval, again);
    this.#shellTimer = clock.after(interval * SHELL_KILL_FACTOR, () => this.#killShells());
    if (maxKillTimeout !== undefined)
      this.#lastTimer = clock.after(maxKillTimeout, () => this.#target.giveUp('exceeded max-kill-timeout'));
  }

  #killTasks(): void {
    const { context, settings } = this.#host;
    context.log('debug', `Sending ${signalName(settings.killSignal)} to job ${encodeFluid(this.#target.facts.id)}`);
    this.#target.execution?.killTasks(settings.killSignal);
    this.#killCount++;
  }

  #killShells(): void {
    const { context, settings, owner } = this.#host;
    const { facts, execution } = this.#target;
    const isGuests = facts.userid !== owner;
    // The IMP takes it for a SIGKILL to all that it runs (RFC 15).
    const signum = isGuests ? SIGUSR1 : settings.killSignal;
    const whom = isGuests ? 'IMP' : 'job shell';
    context.log('debug', `Sending ${signalName(signum)} to ${whom} for job ${encodeFluid(facts.id)}`);
    this.#timer?.cancel();
    execution?.kill(signum);
    this.#shellKillCount++;
    // That may have ended the job.
    if (this.#isOver) return;
    this.#timeout = Math.min(this.#timeout * 2, KILL_INTERVAL_MAX);
    this.#shellTimer = context.clock.after(this.#timeout, () => this.#killShells());
    if (settings.maxKillTimeout === undefined && this.#shellKillCount >= settings.maxKillCount)
      this.#target.giveUp('exceeded max kill count');
  }

  /** The job is over. */
  stop(): void {
    this.#isOver = true;
    this.#timer?.cancel();
    this.#shellTimer?.cancel();
    this.#lastTimer?.cancel();
  }

  /** For `stats-get`. */
  describe(): JsonObject {
    return {
      kill_timeout: real(this.#timeout),
      kill_count: this.#killCount,
      kill_shell_count: this.#shellKillCount,
    };
  }
}
