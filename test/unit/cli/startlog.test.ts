// What flux startlog makes of the events of an instance's starts and ends.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCrashed, runsOf } from '../../../cli/startlog.ts';
import type { EventlogEntry } from '../../../core/formats/eventlog.ts';

let timestamp = 0;
const event = (name: string, version = 1): EventlogEntry => ({
  timestamp: ++timestamp,
  name,
  context: { version, core_version: '0.88.0' },
});

const rows: readonly (readonly [events: readonly EventlogEntry[], states: string, crashed: boolean])[] = [
  [[], '', false],
  [[event('start')], 'running', false],
  [[event('start'), event('finish')], 'finished', false],
  [[event('start'), event('finish'), event('start')], 'finished running', false],
  [[event('start'), event('start')], 'crashed running', true],
  [[event('start'), event('start'), event('finish')], 'crashed finished', false],
  [[event('start'), event('finish'), event('start'), event('start')], 'finished crashed running', true],
  // What is of another kind or newer, or ends what did not start, is passed over.
  [[event('start'), event('note'), event('finish', 99)], 'running', false],
  [[event('start'), event('finish', -1)], 'running', false],
  [[event('finish'), event('start'), event('finish'), event('finish')], 'finished', false],
  [[{ timestamp: 1.5, name: 'start' }, event('start')], 'running', false],
];

test('events are runs', () => {
  for (const [events, states, crashed] of rows) {
    const runs = runsOf(events, 1);
    assert.equal(runs.map(({ state }) => state).join(' '), states, JSON.stringify(events));
    assert.equal(hasCrashed(runs), crashed, JSON.stringify(events));
  }
});
