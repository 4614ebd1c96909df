/**
 * The states of a broker, from its start to its end, as tables: what leads from one to the next, and nothing that does it.
 *
 *     load-builtins → join → config-sync → init → quorum → run → cleanup → shutdown → finalize → goodbye
 *                                                                                      → unload-builtins → exit
 *
 * A follower (rank > 0) moves as its parent does: it joins once its parent has left init, runs once its parent runs, and
 * shuts down when its parent does; its parent goes on from shutdown when all children are gone.
 */

export const states = [
  'load-builtins',
  'join',
  'config-sync',
  'init',
  'quorum',
  'run',
  'cleanup',
  'shutdown',
  'finalize',
  'goodbye',
  'unload-builtins',
  'exit',
] as const;

export type State = (typeof states)[number];

/** The number of a state on the wire, as `state-machine.monitor` counts them. */
export function stateNumber(state: State): number {
  return states.indexOf(state);
}

export const events = [
  'builtins-success',
  'builtins-fail',
  'parent-ready',
  'parent-none',
  'parent-fail',
  'sync-success',
  'sync-none',
  'sync-fail',
  'rc1-success',
  'rc1-none',
  'rc1-ignorefail',
  'rc1-fail',
  'quorum-full',
  'quorum-fail',
  'rc2-success',
  'rc2-fail',
  'rc2-none',
  'shutdown',
  'panic',
  'cleanup-success',
  'cleanup-none',
  'cleanup-fail',
  'children-complete',
  'children-none',
  'rc3-success',
  'rc3-none',
  'rc3-fail',
  'goodbye',
  'builtins-done',
  'builtins-unload-fail',
] as const;

export type StateEvent = (typeof events)[number];

const transitions: Readonly<Record<State, Partial<Record<StateEvent, State>>>> = {
  'load-builtins': { 'builtins-success': 'join', 'builtins-fail': 'unload-builtins' },
  join: { 'parent-ready': 'config-sync', 'parent-none': 'config-sync', 'parent-fail': 'shutdown' },
  'config-sync': { 'sync-success': 'init', 'sync-none': 'init', 'sync-fail': 'shutdown' },
  init: {
    'rc1-success': 'quorum',
    'rc1-none': 'quorum',
    'rc1-ignorefail': 'quorum',
    'rc1-fail': 'shutdown',
    panic: 'shutdown',
  },
  quorum: { 'quorum-full': 'run', 'quorum-fail': 'shutdown', panic: 'shutdown' },
  run: {
    'rc2-success': 'cleanup',
    'rc2-fail': 'cleanup',
    shutdown: 'cleanup',
    'parent-fail': 'cleanup',
    panic: 'shutdown',
  },
  cleanup: { 'cleanup-success': 'shutdown', 'cleanup-none': 'shutdown', 'cleanup-fail': 'shutdown' },
  shutdown: { 'children-complete': 'finalize', 'children-none': 'finalize' },
  finalize: { 'rc3-success': 'goodbye', 'rc3-none': 'goodbye', 'rc3-fail': 'goodbye' },
  goodbye: { goodbye: 'unload-builtins' },
  'unload-builtins': { 'builtins-done': 'exit', 'builtins-unload-fail': 'exit' },
  exit: {},
};

/** The state that an event leads to; undefined when it means nothing in this state. */
export function nextState(state: State, event: StateEvent): State | undefined {
  return transitions[state][event];
}

/** What a follower makes of its parent's state, by its own. */
const parentSays: Partial<Record<State, Partial<Record<State, StateEvent>>>> = {
  join: {
    quorum: 'parent-ready',
    run: 'parent-ready',
    cleanup: 'parent-fail',
    shutdown: 'parent-fail',
    finalize: 'parent-fail',
    goodbye: 'parent-fail',
    'unload-builtins': 'parent-fail',
    exit: 'parent-fail',
  },
  quorum: {
    run: 'quorum-full',
    cleanup: 'quorum-fail',
    shutdown: 'quorum-fail',
    finalize: 'quorum-fail',
    goodbye: 'quorum-fail',
    'unload-builtins': 'quorum-fail',
    exit: 'quorum-fail',
  },
  run: {
    shutdown: 'shutdown',
    finalize: 'parent-fail',
    goodbye: 'parent-fail',
    'unload-builtins': 'parent-fail',
    exit: 'parent-fail',
  },
};

/** The event that a follower in `state` posts when its parent is in `parent`, if any. */
export function eventFromParent(state: State, parent: State): StateEvent | undefined {
  return parentSays[state]?.[parent];
}

/** The event that a follower in `state` posts when its parent is lost. */
export function eventFromLostParent(state: State): StateEvent | undefined {
  if (state === 'quorum') return 'quorum-fail';
  return state === 'join' || state === 'run' ? 'parent-fail' : undefined;
}
