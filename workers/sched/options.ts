/** The arguments of the scheduler's module. */

import { isSeverity, type Severity } from '../../core/broker/log-format.ts';
import { FluxError } from '../../core/errno.ts';
import { type FitOrder, fitOrders } from './free-index.ts';

/** How many jobs the job manager lets wait here at once; the others wait there. */
export type QueueDepth = number | 'unlimited';

export interface SchedulerOptions {
  readonly queueDepth: QueueDepth;
  /** What is less severe is not logged. */
  readonly logLevel: Severity;
  readonly order: FitOrder;
}

/** flux-core's schedulers keep as many when nothing else is said. */
const DEPTH = 8;

/**
 * Reads `queue-depth=N|unlimited`, the older `mode=limited=N|unlimited`, `log-level=LEVEL` and
 * `alloc-mode=worst-fit|best-fit|first-fit`.
 *
 * @throws FluxError EINVAL: an argument that is none of these, or has a bad value
 */
export function schedulerOptions(args: readonly string[]): SchedulerOptions {
  let queueDepth: QueueDepth = DEPTH;
  let logLevel: Severity = 'info';
  let order: FitOrder = 'worst-fit';
  for (const arg of args) {
    const [, name, value] = /^([^=]*)=(.*)$/s.exec(arg) ?? [];
    if (name === 'queue-depth') queueDepth = value === 'unlimited' ? value : depthOf(value!, arg);
    else if (arg === 'mode=unlimited') queueDepth = 'unlimited';
    else if (arg.startsWith('mode=limited=')) queueDepth = depthOf(arg.slice('mode=limited='.length), arg);
    else if (name === 'log-level') logLevel = levelOf(value!);
    else if (name === 'alloc-mode') order = orderOf(value!);
    else throw invalid(`unknown argument '${arg}': known are queue-depth, mode, log-level and alloc-mode`);
  }
  return { queueDepth, logLevel, order };
}

function depthOf(text: string, arg: string): number {
  const depth = /^\d+$/.test(text) ? Number(text) : 0;
  if (depth < 1 || depth > 2 ** 31 - 1) throw invalid(`${arg} is invalid: expected a positive integer or 'unlimited'`);
  return depth;
}

function levelOf(text: string): Severity {
  const level = text.toLowerCase();
  if (!isSeverity(level)) throw invalid(`log-level=${text} is invalid: expected a severity such as info`);
  return level;
}

function orderOf(text: string): FitOrder {
  const order = fitOrders.find((each) => each === text);
  if (!order) throw invalid(`alloc-mode=${text} is invalid: expected one of ${fitOrders.join(', ')}`);
  return order;
}

function invalid(sentence: string): FluxError {
  return new FluxError('EINVAL', sentence);
}
