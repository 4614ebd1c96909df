/**
 * `-o pty`: gives tasks pseudo terminals, which clients attach to by `<service>.terminus.<rank>`.
 *
 * `pty.ranks` says which tasks (all), `pty.interactive` that a user's terminal will be attached to task 0, and
 * `pty.capture` whether what a terminal shows becomes output of the job, as it does unless it is interactive.
 */

import { asFluxError, FluxError } from '../../../core/errno.ts';
import { IdSet } from '../../../core/formats/idset.ts';
import { type JsonObject, type JsonValue, real } from '../../../core/json.ts';
import { isObject } from '../../../core/message/unpack.ts';
import { LogLevel, type Shell, type ShellHooks, type ShellPlugin, type ShellTask } from '../plugin.ts';
import { TERMINAL, TerminalSession } from './terminal-session.ts';

const name = 'pty';

/** The task that clients attach to interactively. */
const INTERACTIVE_RANK = 0;

export interface PtyOption {
  /** Undefined: all. */
  readonly ranks: IdSet | undefined;
  readonly isInteractive: boolean;
  readonly capture: boolean;
}

export const ptyPlugin: ShellPlugin = {
  name,
  load(shell) {
    const sessions = new Map<number, TerminalSession>();
    const created = shell.context.clock.now();
    shell.register('terminus.list', { handler: () => list(shell, created, sessions) });
    return terminals(shell, sessions);
  },
};

/**
 * Reads the option: anything but an object stands for all defaults.
 *
 * @throws FluxError EINVAL: a member that is not known, or of a wrong kind
 */
export function parsePty(option: JsonValue): PtyOption {
  if (!isObject(option)) return { ranks: undefined, isInteractive: false, capture: true };
  const { ranks, capture, interactive, ...unknown } = option;
  const names = Object.keys(unknown);
  if (names.length)
    throw new FluxError(
      'EINVAL',
      `invalid shell pty option: ${names.length} object item(s) left unpacked: ${names.join(', ')}`,
    );
  const isInteractive = isSet('interactive', interactive) ?? false;
  return {
    ranks: parseRanks(ranks, isInteractive),
    isInteractive,
    capture: isSet('capture', capture) ?? !isInteractive,
  };
}

function isSet(member: string, value: JsonValue | undefined): boolean | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value)) return value !== 0;
  if (typeof value === 'boolean') return value;
  throw new FluxError('EINVAL', `invalid shell pty option: ${member} is not an integer`);
}

function parseRanks(ranks: JsonValue | undefined, isInteractive: boolean): IdSet | undefined {
  if (ranks === undefined) return isInteractive ? IdSet.from([INTERACTIVE_RANK]) : undefined;
  if (ranks === 'all') return undefined;
  if (typeof ranks === 'string') return IdSet.parse(ranks);
  if (typeof ranks === 'number' && Number.isInteger(ranks)) return IdSet.from([ranks]);
  throw new FluxError('EINVAL', 'invalid shell pty option: ranks is neither a set of ids nor an integer');
}

function terminals(shell: Shell, sessions: Map<number, TerminalSession>): ShellHooks {
  const release = new Map<number, () => void>();
  let option: PtyOption = parsePty(null);
  return {
    'shell.init'() {
      shell.setEnv('FLUX_TERMINUS_SESSION', '0');
      const given = shell.option(name);
      if (given === undefined) return;
      try {
        option = parsePty(given);
      } catch (error) {
        shell.fail(1, asFluxError(error).message, name);
        return;
      }
      shell.register('disconnect', { handler: ({ sender }) => disconnect(sessions, sender) });
      for (const task of shell.tasks.filter(({ rank }) => hasTerminal(shell, option, rank))) {
        sessions.set(
          task.rank,
          openSession(shell, option, task, () => release.get(task.rank)?.()),
        );
        release.set(task.rank, shell.hold());
        connect(task, sessions.get(task.rank)!);
        if (!option.isInteractive || task.rank !== INTERACTIVE_RANK) continue;
        shell.addEventContext('shell.init', { pty: 'terminus.0', ...(option.capture && { capture: 1 }) });
      }
    },
    'task.exec'(task) {
      const session = sessions.get(task.rank);
      if (session) task.spec.windowSize = session.size;
    },
    'task.fork'(task) {
      const session = sessions.get(task.rank);
      if (!session || !task.process) return;
      session.start(task.process);
      // What the terminal shows is one stream, if it is captured at all.
      task.output(2, null);
      if (!isCaptured(option, task)) task.output(1, null);
    },
    'task.end'(task) {
      sessions.get(task.rank)?.exit(task.status ?? 0);
    },
    destroy() {
      for (const session of sessions.values()) session.end();
    },
  };
}

/** Whether a task gets a terminal; the one that clients attach to always does. */
function hasTerminal(shell: Shell, { ranks, isInteractive }: PtyOption, rank: number): boolean {
  if (!ranks || ranks.has(rank)) return true;
  if (!isInteractive || rank !== INTERACTIVE_RANK) return false;
  shell.log(LogLevel.warn, 'pty: adding pty to rank 0 for interactive support', name);
  return true;
}

function openSession(shell: Shell, option: PtyOption, task: ShellTask, onEnd: () => void): TerminalSession {
  const session = new TerminalSession({
    id: task.rank,
    name: `task${task.rank}`,
    created: shell.context.clock.now(),
    waitsForClient: option.isInteractive && task.rank === INTERACTIVE_RANK,
    monitor: isCaptured(option, task) ? (bytes) => task.output(1, bytes) : undefined,
    onEnd,
  });
  shell.register(`terminus.${task.rank}`, { handler: (request) => session.handle(request) });
  return session;
}

/** Nobody attaches interactively to other tasks, so what they show must go somewhere. */
function isCaptured({ capture }: PtyOption, { rank }: ShellTask): boolean {
  return capture || rank !== INTERACTIVE_RANK;
}

function disconnect(sessions: ReadonlyMap<number, TerminalSession>, sender: string): undefined {
  for (const session of sessions.values()) session.disconnect(sender);
}

/** Puts the task's standard streams on the terminal. */
function connect(task: ShellTask, session: TerminalSession): void {
  task.spec.stdio.splice(0, 3, 'terminal', { sameAs: TERMINAL }, { sameAs: TERMINAL });
  task.setEnv('FLUX_TERMINUS_SESSION', String(task.rank));
  task.takeOutput(TERMINAL, (bytes) => session.show(bytes));
  // What comes for standard input by other ways has no place in a terminal.
  task.takeInput(
    () => {},
    () => session.drain(),
  );
}

function list(shell: Shell, created: number, sessions: ReadonlyMap<number, TerminalSession>): JsonObject {
  return {
    server: { service: `${shell.service}.terminus`, rank: shell.context.rank, ctime: real(created) },
    sessions: Array.from(sessions.values(), (session) => session.describe()),
  };
}
