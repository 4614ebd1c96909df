// Resources as administrators see them: states of ranks, and the lines that show them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { distinctFormat, OutputFormat, withoutFields } from '../../../cli/output-format.ts';
import { modeOf } from '../../../cli/resource-drain.ts';
import { ranksInHousekeeping } from '../../../cli/resource-status.ts';
import {
  collectedFields,
  colorFields,
  ResourceStatus,
  StatusFilter,
  type StatusState,
  statusFields,
  statusLines,
} from '../../../cli/resource-status-lines.ts';
import { IdSet } from '../../../core/formats/idset.ts';

const status = {
  R: { version: 1, execution: { R_lite: [{ rank: '0-6', children: { core: '0' } }], nodelist: ['n[0-6]'] } },
  online: '0-5',
  offline: '6',
  exclude: '1',
  torpid: '2-3',
  drain: { '3,5': { timestamp: 1e9, reason: 'fan' }, 6: { timestamp: 1e9 + 1, reason: 'fuse' } },
};
const answers = { status, allocated: IdSet.parse('0,5'), housekeeping: IdSet.parse('4') };

function lines(format: string, states?: StatusState[], skipEmpty = false, included?: IdSet): string[] {
  const distinct = new OutputFormat(distinctFormat(format, collectedFields), statusFields);
  const found = statusLines(new ResourceStatus(answers, included), new StatusFilter(states, skipEmpty), (line) =>
    distinct.row(line),
  );
  return new OutputFormat(format, statusFields).lines(found, { header: false });
}

test('states of ranks', () => {
  const found = new ResourceStatus(answers);
  const rows = [
    ['avail', '0,4'],
    ['exclude', '1'],
    ['allocated', '0,5'],
    ['torpid', '2-3'],
    ['housekeeping', '4'],
    ['draining', '5'],
    ['drained', '3,6'],
  ] as const;
  for (const [state, ranks] of rows) assert.equal(found.ranks(state).encode(), ranks, state);
  const some = new ResourceStatus(answers, IdSet.parse('3-4'));
  assert.deepEqual([some.ranks('avail').encode(), some.ranks('drained').encode()], ['4', '3']);
  assert.equal(new ResourceStatus({}).ranks('avail').count, 0);
  assert.throws(() => new ResourceStatus({ status: { ...status, online: 'x' } }), /range 'x'/);
});

test('each state that has ranks is a line, and those offline are another', () => {
  assert.deepEqual(lines('{state} {nodelist}'), [
    'avail n[0,4]',
    'exclude n1',
    'torpid n2',
    'housekeeping n4',
    'draining n5',
    'drained n3',
    'drained* n6',
  ]);
  assert.deepEqual(lines('{statex} {status} {up} {up.ascii}', ['drained']), [
    'drained online ✔ y',
    'drained offline ✗ n',
  ]);
});

test('states that were asked for are shown without ranks, too', () => {
  const none = IdSet.parse('0');
  assert.deepEqual(lines('{state} {nnodes}', ['exclude', 'drain'], false, none), [
    'exclude 0',
    'draining 0',
    'drained 0',
  ]);
  assert.deepEqual(lines('{state} {nnodes}', ['exclude', 'drain'], true, none), []);
  assert.deepEqual(lines('{state} {nnodes}', ['exclude', 'offline'], false, none), ['exclude* 0']);
});

test('online and offline restrict the others, or the default', () => {
  assert.deepEqual(lines('{state}', ['offline'], true), ['drained*']);
  assert.deepEqual(lines('{state} {ranks}', ['drained', 'online']), ['drained 3']);
  assert.deepEqual(lines('{state} {ranks}', ['drained', 'online', 'offline']), ['drained 3', 'drained* 6']);
});

test('torpid ranks that are drained are shown once', () => {
  assert.deepEqual(lines('{state} {ranks}', ['torpid']), ['torpid 2-3']);
  assert.deepEqual(lines('{state} {ranks}', ['torpid', 'drained'], true), ['torpid 2', 'drained 3', 'drained* 6']);
});

test('lines are put together that look the same', () => {
  assert.deepEqual(lines('{nnodes}', ['drain'], true), ['3']);
  assert.deepEqual(lines('{ranks} {reason}', ['drain'], true), ['3,5 fan', '6 fuse']);
  assert.deepEqual(lines('{ranks} {reason:.1}', ['drain'], true), ['3,5-6 f'], 'as cut');
  assert.deepEqual(lines('{ranks} +:{reason:.1}', ['drain'], true), ['3,5 fan ', '6 fuse'], 'the column widens');
  assert.deepEqual(lines('{ranks} {timestamp}', ['drained'], true), ['3 1000000000', '6 1000000001']);
});

test('fields go out of formats, with blanks and marks before them', () => {
  const rows = [
    ['{state:>12} {color_up}{up:>2}{color_off} {nnodes}', '{state:>12}{up:>2} {nnodes}'],
    ['{state} ?+:{color_up} {{up}}{up!s:>2}', '{state} {{up}}{up!s:>2}'],
    ['sort:up {state}|{0.color_up}|', 'sort:up {state}||'],
  ] as const;
  for (const [format, expected] of rows) assert.equal(withoutFields(format, colorFields), expected);
  assert.equal(distinctFormat('sort:up {state} ?+:{reason:.3} {ranks}', ['ranks']), '{state}{reason}');
});

test('ranks in housekeeping', () => {
  const running = { a: { allocated: '0-1' }, b: { allocated: '3' }, c: {} };
  assert.equal(ranksInHousekeeping({ housekeeping: { running } }).encode(), '0-1,3');
  for (const other of [null, {}, { housekeeping: 1 }]) assert.equal(ranksInHousekeeping(other).count, 0);
});

test('ways of draining what is drained', () => {
  assert.deepEqual([{}, { force: 1 }, { force: 2 }, { update: true }].map(modeOf), [
    undefined,
    'overwrite',
    'force-overwrite',
    'update',
  ]);
  assert.throws(() => modeOf({ force: 1, update: true }), /only one of/);
});
