/**
 * A pretence of running a job, for tests of everything around it: `attributes.system.exec.test` of a jobspec says how long it
 * runs and what becomes of it.
 */

import type { ServiceContext, Timer } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { parseDuration } from '../../core/formats/duration.ts';
import { decodeEventlog } from '../../core/formats/eventlog.ts';
import type { IdSet } from '../../core/formats/idset.ts';
import { jobKey } from '../../core/formats/job-keys.ts';
import { systemAttributes } from '../../core/formats/system-attributes.ts';
import { Kvs, PRIMARY_NAMESPACE } from '../../core/handle/kvs.ts';
import type { JsonObject } from '../../core/json.ts';
import { isObject, unpack } from '../../core/message/unpack.ts';
import type { Execution, ExecutionEvents } from './execution.ts';
import type { JobFacts } from './job-facts.ts';

/** Seconds that a job runs when nothing says how long. */
const SHORTEST = 1e-5;

interface MockSettings {
  /** Seconds; 0 is until somebody ends it. */
  readonly duration: number;
  /** Starts and finishes only when it is told to. */
  readonly isManual: boolean;
  readonly finishesOnReattach: boolean;
  readonly status: number;
  /** Where it is to fail. */
  readonly exception: string | undefined;
}

/**
 * How a job is to be mocked; undefined when it is a real one.
 *
 * @throws FluxError EINVAL: what is wrong with `exec.test`
 */
export function mockSettings(jobspec: JsonObject): MockSettings | undefined {
  const { exec, duration: limit } = systemAttributes(jobspec);
  const test = isObject(exec) ? exec.test : undefined;
  if (!isObject(test)) return undefined;
  let fields: ReturnType<typeof unpackTest>;
  try {
    fields = unpackTest(test);
  } catch (error) {
    throw new FluxError('EINVAL', `failed to initialize testconf: ${(error as Error).message}`);
  }
  const { run_duration: duration, override = 0, reattach_finish = 0, wait_status = 0, mock_exception } = fields;
  return {
    duration:
      duration === undefined
        ? limit === undefined
          ? SHORTEST
          : unpack({ limit }, { limit: 'n' }).limit
        : parseDuration(duration),
    isManual: override !== 0,
    finishesOnReattach: reattach_finish !== 0,
    status: wait_status,
    exception: mock_exception,
  };
}

function unpackTest(test: JsonObject) {
  return unpack(test, {
    run_duration: 's?',
    override: 'i?',
    reattach_finish: 'i?',
    wait_status: 'i?',
    mock_exception: 's?',
  });
}

export class MockExecution implements Execution {
  readonly name = 'testexec';
  readonly hearsEvents = true;
  readonly #context: ServiceContext;
  readonly #job: JobFacts;
  readonly #settings: MockSettings;
  readonly #events: ExecutionEvents;
  #timer: Timer | undefined;
  #isRunning = false;

  /** @throws FluxError it is to fail before it starts */
  constructor(context: ServiceContext, job: JobFacts, settings: MockSettings, events: ExecutionEvents) {
    this.#context = context;
    this.#job = job;
    this.#settings = settings;
    this.#events = events;
    if (settings.exception === 'init') throw new FluxError('EINVAL', 'mock initialization exception generated');
  }

  start(): void {
    if (!this.#settings.isManual) this.#run(this.#settings.duration);
    if (this.#settings.exception === 'run') this.#events.fatal('mock run exception generated');
  }

  async reattach(): Promise<void> {
    const { duration, finishesOnReattach } = this.#settings;
    let left = SHORTEST;
    if (!finishesOnReattach) {
      const log = await new Kvs(this.#context, PRIMARY_NAMESPACE).getText(jobKey(this.#job.id, 'eventlog'));
      const start = decodeEventlog(log).find(({ name }) => name === 'start')?.timestamp ?? 0;
      left = Math.max(start + duration - this.#context.clock.now(), SHORTEST);
    }
    this.#run(left);
  }

  #run(seconds: number): void {
    this.#isRunning = true;
    this.#events.started();
    this.#events.post('recoverable');
    if (seconds > 0) this.#timer = this.#context.clock.after(seconds, () => this.#finish(this.#settings.status));
  }

  #finish(status: number): void {
    this.#timer?.cancel();
    this.#isRunning = false;
    this.#events.complete(status);
  }

  /**
   * Somebody says what becomes of it.
   *
   * @throws FluxError EINVAL: not now, or no such event
   */
  override(event: string, status: number): void {
    if (!this.#settings.isManual) throw new FluxError('EINVAL', 'Job not in exec override mode');
    if (event === 'start') {
      if (this.#isRunning) throw new FluxError('EINVAL', 'Job already running');
      this.#run(this.#settings.duration);
    } else if (event === 'finish') {
      if (!this.#isRunning) throw new FluxError('EINVAL', 'Job not running');
      this.#finish(status);
    } else throw new FluxError('EINVAL', 'Invalid event');
  }

  cancel(): void {}

  kill(signum: number): void {
    this.#finish(signum);
  }

  killTasks(): void {}

  activeRanks(): IdSet | undefined {
    return undefined;
  }

  stats(): JsonObject {
    return {};
  }
}
