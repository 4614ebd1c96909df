// The whole table: every state with every event. What is not written here means nothing there.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  eventFromLostParent,
  eventFromParent,
  events,
  nextState,
  type State,
  type StateEvent,
  stateNumber,
  states,
} from '../../../core/broker/state-machine.ts';

/** Each transition as a sentence of three words. */
const transitions = `
  load-builtins    builtins-success      join
  load-builtins    builtins-fail         unload-builtins
  join             parent-ready          config-sync
  join             parent-none           config-sync
  join             parent-fail           shutdown
  config-sync      sync-success          init
  config-sync      sync-none             init
  config-sync      sync-fail             shutdown
  init             rc1-success           quorum
  init             rc1-none              quorum
  init             rc1-ignorefail        quorum
  init             rc1-fail              shutdown
  init             panic                 shutdown
  quorum           quorum-full           run
  quorum           quorum-fail           shutdown
  quorum           panic                 shutdown
  run              rc2-success           cleanup
  run              rc2-fail              cleanup
  run              shutdown              cleanup
  run              parent-fail           cleanup
  run              panic                 shutdown
  cleanup          cleanup-success       shutdown
  cleanup          cleanup-none          shutdown
  cleanup          cleanup-fail          shutdown
  shutdown         children-complete     finalize
  shutdown         children-none         finalize
  finalize         rc3-success           goodbye
  finalize         rc3-none              goodbye
  finalize         rc3-fail              goodbye
  goodbye          goodbye               unload-builtins
  unload-builtins  builtins-done         exit
  unload-builtins  builtins-unload-fail  exit
`
  .trim()
  .split('\n')
  .map((line) => line.trim().split(/ +/) as [State, StateEvent, State]);

for (const state of states) {
  test(`in ${state} events lead where the table says, and nowhere else`, () => {
    for (const event of events) {
      const expected = transitions.find(([from, by]) => from === state && by === event)?.[2];
      assert.equal(nextState(state, event), expected, `${event} in ${state}`);
    }
  });
}

test('states have the numbers that clients of state-machine.monitor know', () => {
  const numbers = Object.fromEntries(states.map((state) => [state, stateNumber(state)]));
  assert.deepEqual(numbers, {
    'load-builtins': 0,
    join: 1,
    'config-sync': 2,
    init: 3,
    quorum: 4,
    run: 5,
    cleanup: 6,
    shutdown: 7,
    finalize: 8,
    goodbye: 9,
    'unload-builtins': 10,
    exit: 11,
  });
});

test('events lead on and never back, and exit can be reached from everywhere', () => {
  for (const [from, event, to] of transitions) assert.ok(stateNumber(to) > stateNumber(from), `${event} in ${from}`);
  for (const state of states) {
    const reached = new Set<State>([state]);
    for (const each of reached) for (const [from, , to] of transitions) if (from === each) reached.add(to);
    assert.ok(reached.has('exit'), `exit from ${state}`);
  }
});

/** What a follower makes of a parent that has come to a state, or is beyond one. */
for (const [state, expected] of [
  ['join', { quorum: 'parent-ready', run: 'parent-ready', beyond: ['run', 'parent-fail'] }],
  ['quorum', { run: 'quorum-full', beyond: ['run', 'quorum-fail'] }],
  ['run', { shutdown: 'shutdown', beyond: ['shutdown', 'parent-fail'] }],
] as [State, Partial<Record<State, StateEvent>> & { beyond: [State, StateEvent] }][]) {
  test(`a follower in ${state} moves as its parent does`, () => {
    const [last, event] = expected.beyond;
    for (const parent of states) {
      const beyond = stateNumber(parent) > stateNumber(last) ? event : undefined;
      assert.equal(eventFromParent(state, parent), expected[parent] ?? beyond, `parent in ${parent}`);
    }
  });
}

test('in other states a follower does not mind its parent', () => {
  for (const state of states) {
    if (['join', 'quorum', 'run'].includes(state)) continue;
    for (const parent of states) assert.equal(eventFromParent(state, parent), undefined, `${state}, parent ${parent}`);
  }
});

test('a follower that waits for its parent, or runs, minds losing it', () => {
  for (const state of states) {
    const expected = { join: 'parent-fail', quorum: 'quorum-fail', run: 'parent-fail' }[state as string];
    assert.equal(eventFromLostParent(state), expected, state);
  }
});

test('what a follower makes of its parent leads somewhere', () => {
  for (const state of states) {
    const posted = [eventFromLostParent(state), ...states.map((parent) => eventFromParent(state, parent))];
    for (const event of posted) if (event) assert.notEqual(nextState(state, event), undefined, `${event} in ${state}`);
  }
});
