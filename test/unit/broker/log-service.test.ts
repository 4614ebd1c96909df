// The service `log`: what is kept, followed and forwarded, and which entries go where outside the instance.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatEntry } from '../../../core/broker/log-format.ts';
import { refused } from '../../errors.ts';
import { type Call, guest, type SimulatedClient } from '../../sim/client.ts';
import { Simulation, type SimulationOptions } from '../../sim/simulation.ts';

const TIMESTAMP = '2026-01-01T00:00:00.000000Z';

function line(text: string, severity = 5, hostname = '0'): string {
  return formatEntry({ severity, timestamp: TIMESTAMP, hostname, appname: 'app', text });
}

const append = (client: SimulatedClient, entry: string) => client.rpc('log.append', Buffer.from(`${entry}\0`));

/** An instance whose log has nothing in it but what a test appends. */
async function start(attributes: Record<string, string> = {}, more: SimulationOptions = {}): Promise<Simulation> {
  const sim = await new Simulation({ attributes: { 'log-forward-level': '-1', ...attributes }, ...more }).start();
  await sim.settle();
  for (const { rank } of sim.ranks) await sim.connect(rank).rpc('log.clear');
  sim.node.stderr.length = 0;
  return sim;
}

const textsOf = (call: Call) =>
  call.answers.flatMap(({ errnum, bytes }) => (errnum ? [] : [Buffer.from(bytes!).toString().replace(/\0$/, '')]));

async function dmesg(sim: Simulation, client: SimulatedClient): Promise<string[]> {
  const call = client.stream('log.dmesg', { follow: false });
  const end = await sim.until(call.final, 'the end of the log');
  assert.equal(end.error().code, 'ENODATA');
  return textsOf(call);
}

test('entries are kept as they came, until they are cleared', async () => {
  const sim = await start();
  const client = sim.connect();
  const entries = [line('one'), '<40>1 - 0 logger 47 ID [x] two', line('three\nlines')];
  for (const entry of entries) assert.equal(await append(client, entry), undefined);
  assert.deepEqual(await dmesg(sim, client), entries);
  assert.equal(await client.rpc('log.clear'), undefined);
  assert.deepEqual(await dmesg(sim, client), []);
  await append(client, line('four'));
  assert.deepEqual(await dmesg(sim, client), [line('four')]);
});

for (const [size, count, first] of [
  [3, 2, 0],
  [3, 3, 0],
  [3, 4, 1],
  [3, 8, 5],
  [1, 5, 4],
  [0, 5, 5],
] as const) {
  test(`a ring of ${size} keeps the latest of ${count} entries`, async () => {
    const sim = await start({ 'log-ring-size': String(size) });
    const client = sim.connect();
    const entries = Array.from({ length: count }, (_, index) => line(`m${index}`));
    for (const entry of entries) await append(client, entry);
    assert.deepEqual(await dmesg(sim, client), entries.slice(first));
  });
}

test('entries less severe than log-level are not kept', async () => {
  const sim = await start({ 'log-level': '5' });
  const client = sim.connect();
  for (const severity of [4, 5, 6, 7]) await append(client, line(`severity ${severity}`, severity));
  assert.deepEqual(await dmesg(sim, client), [line('severity 4', 4), line('severity 5', 5)]);
});

test('newlines and NULs at the end of an entry are taken off', async () => {
  const sim = await start();
  const client = sim.connect();
  await client.rpc('log.append', Buffer.from(`${line('a')}\n\n\0`));
  await client.rpc('log.append', Buffer.from(line('b')));
  assert.deepEqual(await dmesg(sim, client), [line('a'), line('b')]);
});

for (const text of [undefined, 'no entry', '{"a":1}', '']) {
  test(`log.append of ${text === undefined ? 'nothing' : `'${text}'`} is refused`, async () => {
    const sim = await start();
    const payload = text === undefined ? undefined : Buffer.from(`${text}\0`);
    await refused(sim.connect().rpc('log.append', payload), 'EPROTO');
  });
}

test('who follows gets what there is and what comes, or only what comes', async () => {
  const sim = await start();
  const client = sim.connect();
  await append(client, line('old'));
  const all = sim.connect().stream('log.dmesg', { follow: true });
  const fresh = sim.connect().stream('log.dmesg', { follow: true, nobacklog: true });
  const nothing = sim.connect().stream('log.dmesg', { follow: false, nobacklog: true });
  await sim.settle();
  await append(client, line('new'));
  await sim.settle();
  assert.deepEqual(textsOf(all), [line('old'), line('new')]);
  assert.deepEqual(textsOf(fresh), [line('new')]);
  assert.deepEqual(textsOf(nothing), []);
  assert.deepEqual(
    [all, fresh, nothing].map(({ finalAnswers }) => finalAnswers.length),
    [0, 0, 1],
  );
});

test('following ends when it is canceled, with the matchtag, by the same client', async () => {
  const sim = await start();
  const [client, other] = [sim.connect(), sim.connect()];
  const call = client.stream('log.dmesg', { follow: true });
  await sim.settle();
  other.notify('log.cancel', { matchtag: call.request.matchtag });
  client.notify('log.cancel', { matchtag: 99 });
  await sim.settle();
  assert.deepEqual(call.finalAnswers, []);
  client.notify('log.cancel', { matchtag: call.request.matchtag });
  assert.equal((await sim.until(call.final, 'the end')).error().code, 'ENODATA');
  await append(other, line('late'));
  await sim.settle();
  assert.equal(call.answers.length, 1);
});

test('following ends with its client', async () => {
  const sim = await start({}, { size: 2 });
  const client = sim.connect(1);
  client.stream('log.dmesg', { follow: true }, { nodeid: 0 });
  await sim.settle();
  assert.equal(sim.ranks[1]!.overlay.parent!.tracker.count > 0, true);
  client.disconnect();
  await sim.settle();
  await append(sim.connect(0), line('late'));
  await sim.settle();
  assert.equal(client.received.length, 0);
});

test('dmesg wants the streaming flag, and says what it wants', async () => {
  const sim = await start();
  await refused(sim.connect().rpc('log.dmesg', { follow: false }), 'EPROTO', /streaming flag/);
  const call = sim.connect().stream('log.dmesg', {});
  assert.equal((await sim.until(call.final, 'an answer')).error().code, 'EPROTO');
});

interface Copies {
  readonly stderr: number[];
  readonly file: number[];
  readonly syslog: number[];
}

/** Which severities go where, of entries of rank 0 and of rank 1. */
for (const [what, attributes, expected] of [
  [
    'by default',
    {},
    [
      { stderr: [0, 1, 2, 3], file: [], syslog: [] },
      { stderr: [0, 1, 2, 0, 1, 2, 3], file: [], syslog: [] },
    ],
  ],
  [
    'in stderr mode local',
    { 'log-stderr-mode': 'local' },
    [
      { stderr: [0, 1, 2, 3], file: [], syslog: [] },
      { stderr: [0, 1, 2, 3], file: [], syslog: [] },
    ],
  ],
  [
    'with other levels',
    { 'log-stderr-level': '5', 'log-critical-level': '-1', 'log-forward-level': '4' },
    [
      { stderr: [0, 1, 2, 3, 4, 5], file: [], syslog: [] },
      { stderr: [0, 1, 2, 3, 4], file: [], syslog: [] },
    ],
  ],
  [
    'with a file',
    { 'log-filename': '/sim/log', 'log-forward-level': '1', 'log-stderr-level': '-1', 'log-critical-level': '-1' },
    [
      { stderr: [], file: [0, 1, 2, 3, 4, 5, 6, 7], syslog: [] },
      { stderr: [], file: [0, 1], syslog: [] },
    ],
  ],
  [
    'with syslog',
    { 'log-syslog-enable': '1', 'log-syslog-level': '2', 'log-stderr-level': '-1', 'log-critical-level': '-1' },
    [
      { stderr: [], file: [], syslog: [0, 1, 2] },
      // On the rank itself, and on rank 0 where it was forwarded to.
      { stderr: [], file: [], syslog: [0, 0, 1, 1, 2, 2] },
    ],
  ],
] as [string, Record<string, string>, Copies[]][]) {
  test(`copies ${what}`, async () => {
    const sim = await start({ 'log-forward-level': '3', ...attributes }, { size: 2 });
    for (const rank of [0, 1]) {
      const { node } = sim;
      for (const list of [node.stderr, node.logFile, node.syslog]) list.length = 0;
      const client = sim.connect(rank);
      for (let severity = 0; severity < 8; severity++) {
        await append(client, line(`entry ${severity}`, severity, String(rank)));
        await sim.settle();
      }
      const numbers = (list: readonly { text: string }[]) =>
        list.map(({ text }) => Number(/entry (\d)/.exec(text)![1]));
      assert.deepEqual(
        {
          stderr: numbers(node.stderr).toSorted(),
          file: numbers(node.logFile),
          syslog: numbers(node.syslog).toSorted(),
        },
        { ...expected[rank], stderr: expected[rank]!.stderr.toSorted() },
        `entries of rank ${rank}`,
      );
    }
  });
}

test('lines outside the instance say who logged, and when or how severe', async () => {
  for (const [mode, pattern] of [
    ['leader', /^\w{3} \d\d \d\d:\d\d:\d\d\.000000 \S+ \d{4} app\.err\[0\]: text$/],
    ['local', /^<3>app\.err\[0\]: text$/],
  ] as const) {
    const sim = await start({ 'log-stderr-mode': mode });
    await append(sim.connect(), line('text', 3));
    assert.match(sim.node.stderr[0]!.text, pattern);
  }
});

test('log-stderr-level can be changed while the instance runs, on one rank', async () => {
  const sim = await start();
  const client = sim.connect();
  await client.rpc('attr.set', { name: 'log-stderr-level', value: '6' });
  await append(client, line('a', 6));
  await client.rpc('attr.set', { name: 'log-stderr-level', value: '-1' });
  await append(client, line('b', 3));
  assert.deepEqual(
    sim.node.stderr.map(({ text }) => /. $|.$/.exec(text)![0]),
    ['a'],
  );
  await refused(client.rpc('log.setattr', { name: 'log-level', value: '6' }), 'EINVAL', /unknown log attribute/);
});

test('forwarded entries are not kept by rank 0', async () => {
  const sim = await start({ 'log-forward-level': '7' }, { size: 3 });
  await append(sim.connect(2), line('far', 3, '2'));
  await sim.settle();
  assert.deepEqual(
    (await dmesg(sim, sim.connect(0))).filter((entry) => entry.includes('far')),
    [],
  );
  assert.ok(sim.node.stderr.some(({ text, rank }) => rank === 0 && text.endsWith('app.err[2]: far')));
});

test('entries are counted', async () => {
  const sim = await start();
  const client = sim.connect();
  type Stats = Record<'ring-used' | 'count' | 'local' | 'remote', number>;
  const before = await client.rpc<Stats>('log.stats-get');
  await append(client, line('a'));
  await append(client, line('b', 5, '3'));
  const after = await client.rpc<Stats>('log.stats-get');
  const keys = ['ring-used', 'count', 'local', 'remote'] as const;
  assert.deepEqual(
    keys.map((key) => after[key] - before[key]),
    [1, 1, 1, 1],
  );
});

test('only the owner logs and reads the log', async () => {
  const sim = await start();
  for (const method of ['append', 'dmesg', 'clear', 'cancel', 'setattr', 'stats-get'])
    await refused(sim.connect(0, guest()).rpc(`log.${method}`), 'EPERM', /requires owner credentials/);
});
