// The service `kvs-watch` by its messages: which commits a watcher is told of, and how a watch ends.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ErrnoName } from '../../../core/errno.ts';
import { makeBlobref } from '../../../core/formats/blobref.ts';
import { LookupFlag } from '../../../core/formats/kvs-flags.ts';
import { makeDir, makeDirref, makeSymlink, makeValref } from '../../../core/formats/treeobj.ts';
import { KvsTransaction } from '../../../core/handle/kvs-transaction.ts';
import type { JsonObject } from '../../../core/json.ts';
import { Flag } from '../../../core/message/message.ts';
import { refused } from '../../errors.ts';
import { guest, type SimulatedClient } from '../../sim/client.ts';
import { sources, told, Watching, watch } from './watching.ts';

const { readdir, readlink, stream, treeobj, waitcreate, watchAppend, watchFull, watchUniq, initialSentinel } =
  LookupFlag;

type Step = (changes: KvsTransaction) => KvsTransaction;

interface Row {
  readonly what: string;
  readonly key: string;
  readonly flags?: number;
  /** What is there before the watch begins. */
  readonly before?: Step;
  /** Commits, one after the other. */
  readonly commits: readonly Step[];
  readonly told: readonly unknown[];
}

const put =
  (key: string, value: string): Step =>
  (changes) =>
    changes.put(key, value);
const append =
  (key: string, value: string): Step =>
  (changes) =>
    changes.append(key, value);
const unlink =
  (key: string): Step =>
  (changes) =>
    changes.unlink(key);
const mkdir =
  (key: string): Step =>
  (changes) =>
    changes.mkdir(key);
const symlink =
  (key: string, target: string): Step =>
  (changes) =>
    changes.symlink(key, target);
const both =
  (...steps: Step[]): Step =>
  (changes) =>
    steps.reduce((sum, step) => step(sum), changes);

const rows: Row[] = [
  {
    what: 'every commit that names the key is told, also with the same value',
    key: 'a.b',
    before: put('a.b', '1'),
    commits: [put('a.b', '2'), put('a.b', '2'), put('a.c', 'x'), put('b', 'x'), append('.a..b.', '3')],
    told: ['1', '2', '2', '23'],
  },
  {
    what: 'a key is the same however many dots there are',
    key: '..a...b.',
    before: put('a.b', '1'),
    commits: [put('a.b', '2')],
    told: ['1', '2'],
  },
  {
    what: 'what is above the key is not the key',
    key: 'a.b',
    before: put('a.b', '1'),
    commits: [unlink('a'), both(put('a.b', '2'), put('a.c', '3'))],
    told: ['1', '2'],
  },
  { what: 'a missing key ends it', key: 'a', commits: [], told: ['ENOENT'] },
  {
    what: 'a key that is removed ends it',
    key: 'a',
    before: put('a', '1'),
    commits: [unlink('a')],
    told: ['1', 'ENOENT'],
  },
  { what: 'a directory ends it', key: 'a', before: put('a', '1'), commits: [mkdir('a')], told: ['1', 'EISDIR'] },
  {
    what: 'uniq tells values that differ from the last',
    key: 'a',
    flags: watchUniq,
    before: put('a', '1'),
    commits: [put('a', '1'), put('a', '2'), put('a', '2'), put('a', '1'), unlink('a')],
    told: ['1', '2', '1', 'ENOENT'],
  },
  {
    what: 'full tells a value that changed because something above it did',
    key: 'a.b',
    flags: watchFull,
    before: put('a.b', '1'),
    commits: [put('x', '1'), both(unlink('a'), put('a.b', '2')), put('a.c', '3'), put('a.b', '2'), unlink('a')],
    told: ['1', '2', 'ENOENT'],
  },
  {
    what: 'full tells of a directory that is replaced by a value',
    key: 'a.b.c',
    flags: watchFull,
    before: put('a.b.c', '1'),
    commits: [put('a', '2')],
    told: ['1', 'ENOENT'],
  },
  {
    what: 'full tells what is written through a link',
    key: 'd.x',
    flags: watchFull,
    before: both(put('d.x', '1'), symlink('l', 'd')),
    commits: [put('l.x', '2'), put('l.y', '3')],
    told: ['1', '2'],
  },
  {
    what: 'full tells what changes behind a link',
    key: 'l.x',
    flags: watchFull,
    before: both(put('d.x', '1'), put('e.x', '4'), symlink('l', 'd')),
    commits: [put('d.x', '2'), put('x', '3'), symlink('l', 'e'), put('d.x', '5'), put('e.x', '6')],
    told: ['1', '2', '4', '6'],
  },
  {
    what: 'full tells what changes at the end of a link',
    key: 'l',
    flags: watchFull,
    before: both(put('d.x', '1'), symlink('l', 'd.x')),
    commits: [put('d.x', '2')],
    told: ['1', '2'],
  },
  {
    what: 'full waits for what will be behind a link',
    key: 'l.x',
    flags: watchFull | waitcreate,
    before: both(mkdir('d'), symlink('l', 'd')),
    commits: [put('y', '1'), put('d.x', '2')],
    told: ['2'],
  },
  {
    what: 'without full a link is a name',
    key: 'l.x',
    before: both(put('d.x', '1'), symlink('l', 'd')),
    commits: [put('d.x', '2'), put('l.x', '3')],
    told: ['1', '3'],
  },
  {
    what: 'a directory can be watched',
    key: 'a',
    flags: readdir | watchFull,
    before: mkdir('a'),
    commits: [put('b', '1'), put('a', '1')],
    told: [makeDir(), 'ENOTDIR'],
  },
  {
    what: 'full tells what changes below a directory',
    key: 'a',
    flags: treeobj | watchFull,
    before: put('a.b.c', '1'),
    commits: [put('b', '1'), put('a.b.c', '1'), unlink('a.b')],
    told: [
      makeDirref('sha1-372b92569c74576ae66f64e2d97661406fc8a29a'),
      makeDirref('sha1-c0a9faf907dda6216fd73bf81d0b3b21a1a8cb91'),
    ],
  },
  {
    what: 'a link can be watched',
    key: 'l',
    flags: readlink,
    before: symlink('l', 'a'),
    commits: [symlink('l', 'b'), put('l', '1')],
    told: [makeSymlink('a'), makeSymlink('b'), 'EINVAL'],
  },
  {
    what: 'a tree object can be watched',
    key: 'a',
    flags: treeobj,
    before: symlink('a', 'b'),
    commits: [put('a', '1'), append('a', '2')],
    told: [
      makeSymlink('b'),
      '1',
      makeValref(['sha1-356a192b7913b04c54574d18c28d46e6395428ab', 'sha1-da4b9237bacccdf19c0760cab7aec4a8359010b0']),
    ],
  },
  {
    what: 'waitcreate waits for the key, but once it is there no more',
    key: 'a.b',
    flags: waitcreate,
    commits: [put('b', '1'), unlink('a.b'), put('a.b', '2'), unlink('a.b'), put('a.b', '3')],
    told: ['2', 'ENOENT'],
  },
  {
    what: 'append tells each piece',
    key: 'a',
    flags: watchAppend,
    before: both(put('a', '1'), append('a', '2')),
    commits: [put('b', '1'), append('a', '3'), both(append('a', '4'), append('a', '56')), append('a', '')],
    told: ['1', '2', '3', '4', '56', ''],
  },
  {
    what: 'append begins with a value that nothing was appended to',
    key: 'a',
    flags: watchAppend,
    before: put('a', '1'),
    commits: [append('a', '2')],
    told: ['1', '2'],
  },
  {
    what: 'append ends when the value is overwritten',
    key: 'a',
    flags: watchAppend,
    before: both(put('a', '1'), append('a', '2')),
    commits: [append('a', '3'), put('a', '123'), append('a', '4')],
    told: ['1', '2', '3', 'EINVAL'],
  },
  {
    what: 'append ends when another value has taken the place',
    key: 'a',
    flags: watchAppend,
    before: both(put('a', '1'), append('a', '2')),
    commits: [both(put('a', '1'), append('a', '3'), append('a', '4'))],
    told: ['1', '2', 'EINVAL'],
  },
  {
    what: 'append ends when a shorter value has taken the place',
    key: 'a',
    flags: watchAppend,
    before: both(put('a', '1'), append('a', '2'), append('a', '3')),
    commits: [both(put('a', '1'), append('a', '2'))],
    told: ['1', '2', '3', 'EINVAL'],
  },
  {
    what: 'append does not go with a directory',
    key: 'a',
    flags: watchAppend,
    before: mkdir('a'),
    commits: [],
    told: ['EISDIR'],
  },
  {
    what: 'append does not go with a link',
    key: 'a',
    flags: watchAppend,
    before: symlink('a', 'b'),
    commits: [],
    told: ['EINVAL'],
  },
  {
    what: 'the sentinel comes behind what is there at first',
    key: 'a',
    flags: watchAppend | initialSentinel,
    before: both(put('a', '1'), append('a', '2')),
    commits: [append('a', '3')],
    told: ['1', '2', '-', '3'],
  },
  {
    what: 'the sentinel comes first when nothing is there',
    key: 'a',
    flags: watchAppend | initialSentinel | waitcreate,
    commits: [append('a', '1'), append('a', '2')],
    told: ['-', '1', '2'],
  },
];

for (const source of sources) {
  describe(`a watch by ${source}`, () => {
    for (const row of rows) {
      test(row.what, async () => {
        const watching = await Watching.start(source);
        const { kvs } = watching;
        kvs.commit('ns', (row.before ?? mkdir('other'))(new KvsTransaction()));
        const call = watch(watching.connect(), row.key, row.flags);
        await watching.settle();
        for (const commit of row.commits) {
          kvs.commit('ns', commit(new KvsTransaction()));
          await watching.settle();
        }
        assert.deepEqual(told(call), row.told);
      });
    }

    test('blobs that the KVS has joined are told once', async () => {
      const watching = await Watching.start(source);
      const { kvs } = watching;
      const call = watch(watching.connect(), 'a', watchAppend | waitcreate);
      let expected = '';
      for (let i = 0; i < 40; i++) {
        // All are joined at once, some of them or none; the last piece may be among them.
        const isJoined = i % 7 === 3;
        if (i % 7 === 5) kvs.commit('ns', new KvsTransaction().put('other', String(i)), ['a']);
        kvs.commit('ns', new KvsTransaction().append('a', `${i} `), isJoined ? ['a'] : []);
        expected += `${i} `;
        if (i % 3 === 0) await watching.settle();
      }
      await watching.settle();
      assert.equal(told(call).join(''), expected);
      assert.ok(!told(call).includes(''), 'what brings nothing new is not told');
    });

    test('pieces without bytes are joined, too', async () => {
      const watching = await Watching.start(source);
      const { kvs } = watching;
      kvs.commit(
        'ns',
        ['1', '', '2', ''].reduce((sum, piece) => sum.append('a', piece), new KvsTransaction()),
      );
      const call = watch(watching.connect(), 'a', watchAppend);
      await watching.settle();
      kvs.commit('ns', new KvsTransaction().put('b', '1'), ['a']);
      for (const piece of ['', '3', '']) kvs.commit('ns', new KvsTransaction().append('a', piece), ['a']);
      await watching.settle();
      assert.deepEqual(told(call), ['1', '', '2', '', '3']);
    });

    test('commits come in order, also when blobs have to be loaded first', async () => {
      const watching = await Watching.start(source);
      const { kvs } = watching;
      kvs.commit('ns', new KvsTransaction().put('a', '0').append('log', '0'));
      kvs.hold();
      const calls = [0, watchUniq, watchFull, watchAppend].map((flags) =>
        watch(watching.connect(), flags === watchAppend ? 'log' : 'a', flags),
      );
      await watching.settle();
      for (let i = 1; i <= 5; i++) {
        kvs.commit('ns', new KvsTransaction().put('a', String(i)).append('log', String(i)));
        await watching.settle();
      }
      assert.deepEqual(calls.map(told), [[], [], [], []]);
      kvs.release();
      await watching.settle();
      for (const call of calls) assert.deepEqual(told(call), ['0', '1', '2', '3', '4', '5']);
    });

    test('a busy watcher keeps few roots, and answers every commit', async () => {
      const watching = await Watching.start(source);
      const { kvs } = watching;
      kvs.commit('ns', new KvsTransaction().put('a', '0'));
      kvs.hold();
      const [call, uniq] = [watch(watching.connect(), 'a'), watch(watching.connect(), 'a', watchUniq)];
      await watching.settle();
      for (let i = 1; i <= 200; i++) kvs.commit('ns', new KvsTransaction().put('a', String(i)));
      await watching.settle();
      kvs.release();
      await watching.settle();
      const numbers = told(call).map(Number);
      assert.equal(numbers.length, 201);
      assert.deepEqual(
        numbers,
        numbers.toSorted((a, b) => a - b),
      );
      assert.equal(numbers.at(-1), 200);
      assert.ok(new Set(numbers).size < 100, 'not every root was looked at');
      assert.equal(told(uniq).at(-1), '200');
    });

    test('a watcher that waits for blobs makes nobody wait', async () => {
      const watching = await Watching.start(source);
      const { kvs } = watching;
      kvs.commit('ns', new KvsTransaction().put('slow', '0').put('a', '0'));
      kvs.hold('slow');
      const client = watching.connect();
      const [slow, quick] = [watch(client, 'slow'), watch(client, 'a')];
      await watching.settle();
      kvs.commit('ns', new KvsTransaction().put('slow', '1').put('a', '1'));
      await watching.settle();
      assert.deepEqual([told(slow), told(quick)], [[], ['0', '1']]);
      kvs.release();
      await watching.settle();
      assert.deepEqual(told(slow), ['0', '1']);
    });

    test('a client that does not take what it is sent is told later, and makes nobody wait', async () => {
      const watching = await Watching.start(source);
      const { kvs } = watching;
      const [slow, quick] = [watching.connect(), watching.connect()];
      kvs.commit('ns', new KvsTransaction().put('a', '0').put('log', '0'));
      const begin = (client: SimulatedClient) => [
        watch(client, 'a'),
        watch(client, 'a', watchUniq),
        watch(client, 'log', watchAppend),
      ];
      const calls = [slow, quick].map(begin);
      await watching.settle();
      watching.setSlow(slow, true);
      const late = watch(slow, 'a');
      await watching.settle();
      for (let i = 1; i <= 3; i++) kvs.commit('ns', new KvsTransaction().put('a', String(i)).append('log', String(i)));
      await watching.settle();
      const all = ['0', '1', '2', '3'];
      assert.deepEqual(calls.flat().map(told), [...Array(3).fill(['0']), ...Array(3).fill(all)]);
      assert.deepEqual(told(late), []);
      watching.setSlow(slow, false);
      await watching.settle();
      for (const call of [...calls.flat(), late]) assert.deepEqual(told(call), all);
    });

    test('a large value stops where its reader does', async () => {
      const watching = await Watching.start(source);
      const { kvs } = watching;
      const pieces = Array.from({ length: 40 }, (_, i) => Buffer.alloc(1 << 18, i));
      kvs.commit(
        'ns',
        pieces.reduce((sum, piece) => sum.append('large', piece), new KvsTransaction()),
      );
      kvs.hold(makeBlobref('sha1', pieces[10]!));
      const client = watching.connect();
      const call = client.stream('kvs-watch.lookup', { namespace: 'ns', key: 'large', flags: stream });
      await watching.settle();
      watching.setSlow(client, true);
      kvs.release();
      await watching.settle();
      const { length } = call.answers;
      assert.ok(length >= 10 && length < 20, `${length} pieces came`);
      watching.setSlow(client, false);
      await watching.settle();
      assert.equal(call.answers.length, pieces.length + 1);
    });

    test('a stream is the blobs of a value, and its end', async () => {
      const watching = await Watching.start(source);
      const client = watching.connect();
      const pieces = ['1', 'x'.repeat(3 << 20), '', '3'];
      const changes = new KvsTransaction().put('one', '1').mkdir('d').symlink('l', 'one');
      watching.kvs.commit(
        'ns',
        pieces.reduce((sum, piece) => sum.append('many', piece), changes),
      );
      const calls = ['many', 'one', 'd', 'l', 'none'].map((key) =>
        client.stream('kvs-watch.lookup', { namespace: 'ns', key, flags: stream }),
      );
      const late = client.stream('kvs-watch.lookup', { namespace: 'ns', key: 'late', flags: stream | waitcreate });
      await watching.settle();
      watching.kvs.commit('ns', new KvsTransaction().append('many', '4').put('late', '1'));
      await watching.settle();
      assert.deepEqual(calls.map(told), [[...pieces, 'ENODATA'], ['1', 'ENODATA'], ['EISDIR'], ['EINVAL'], ['ENOENT']]);
      assert.deepEqual(told(late), ['1', 'ENODATA']);
    });

    test('waitcreate alone is answered once, when there is such a key', async () => {
      const watching = await Watching.start(source);
      const { kvs } = watching;
      const client = watching.connect();
      const ask = (key: string) => client.call('kvs-watch.lookup', { namespace: 'ns', key, flags: waitcreate });
      kvs.commit('ns', new KvsTransaction().put('a', '1'));
      const calls = [ask('a'), ask('b.c')];
      await watching.settle();
      kvs.commit('ns', new KvsTransaction().put('a', '2'));
      await watching.settle();
      assert.deepEqual(calls.map(told), [['1'], []]);
      for (const value of ['3', '4']) kvs.commit('ns', new KvsTransaction().put('b.c', value));
      await watching.settle();
      assert.deepEqual(calls.map(told), [['1'], ['3']]);
    });

    test('the end of a namespace ends its watches, and a new one of its name is another', async () => {
      const watching = await Watching.start(source);
      const { kvs } = watching;
      const client = watching.connect();
      kvs.commit('ns', new KvsTransaction().put('a', '1'));
      kvs.create('other');
      kvs.commit('other', new KvsTransaction().put('a', '9'));
      const calls = [watch(client, 'a'), watch(client, 'b', waitcreate), watch(client, 'a', 0, 'other')];
      await watching.settle();
      kvs.remove('ns');
      await watching.settle();
      kvs.create('ns');
      kvs.commit('ns', new KvsTransaction().put('a', '2').put('b', '2'));
      const again = watch(client, 'a');
      await watching.settle();
      assert.deepEqual(calls.map(told), [['1', 'EOPNOTSUPP'], ['EOPNOTSUPP'], ['9']]);
      assert.deepEqual(told(again), ['2']);
    });

    test('who waits for a key waits for its namespace, too', async () => {
      const watching = await Watching.start(source);
      const { kvs } = watching;
      const client = watching.connect();
      const waits = watch(client, 'a', waitcreate, 'new');
      await watching.settle();
      const not = watch(client, 'a', 0, 'new');
      await watching.settle();
      kvs.create('new');
      await watching.settle();
      kvs.commit('new', new KvsTransaction().put('a', '1'));
      await watching.settle();
      assert.deepEqual([told(waits), told(not)], [['1'], ['EOPNOTSUPP']]);
    });

    test('a guest watches his own namespaces only', async () => {
      const watching = await Watching.start(source);
      const { kvs } = watching;
      kvs.create('his', 1000);
      for (const name of ['ns', 'his']) kvs.commit(name, new KvsTransaction().put('a', '1'));
      const client = watching.connect(guest(1000));
      const calls = ['ns', 'his', 'none'].map((name) => watch(client, 'a', 0, name));
      const waits = watch(client, 'a', waitcreate, 'late');
      const owners = watch(watching.connect(), 'a', 0, 'his');
      await watching.settle();
      kvs.create('late', 2000);
      kvs.commit('his', new KvsTransaction().put('a', '2'));
      await watching.settle();
      assert.deepEqual([...calls, waits, owners].map(told), [
        ['EPERM'],
        ['1', '2'],
        ['EOPNOTSUPP'],
        ['EPERM'],
        ['1', '2'],
      ]);
    });

    test('a client ends its own watches', async () => {
      const watching = await Watching.start(source);
      const { kvs } = watching;
      kvs.create('his', 1000);
      kvs.commit('his', new KvsTransaction().put('a', '1'));
      const [client, other] = [watching.connect(guest(1000)), watching.connect()];
      const calls = [client, client, other].map((each) => watch(each, 'a', 0, 'his'));
      await watching.settle();
      const { matchtag } = calls[1]!.request;
      for (const each of [other, client, client]) each.notify('kvs-watch.cancel', { matchtag });
      client.notify('kvs-watch.cancel', { matchtag: 99 });
      await watching.settle();
      kvs.commit('his', new KvsTransaction().put('a', '2'));
      await watching.settle();
      assert.deepEqual(calls.map(told), [
        ['1', '2'],
        ['1', 'ENODATA'],
        ['1', '2'],
      ]);
    });

    test('a watch that waits for blobs can be ended', async () => {
      const watching = await Watching.start(source);
      const { kvs } = watching;
      const client = watching.connect();
      kvs.commit('ns', new KvsTransaction().put('a', '1').put('b', '1').append('b', '2'));
      kvs.hold();
      const calls = [watch(client, 'a'), watch(client, 'b', watchAppend)];
      await watching.settle();
      for (const { request } of calls) client.notify('kvs-watch.cancel', { matchtag: request.matchtag });
      await watching.settle();
      kvs.release();
      await watching.settle();
      assert.deepEqual(calls.map(told), [['ENODATA'], ['ENODATA']]);
    });

    test('a client that is gone is told nothing, and its watches are forgotten', async () => {
      const watching = await Watching.start(source);
      const { kvs } = watching;
      kvs.commit('ns', new KvsTransaction().put('a', '1'));
      const [client, asking] = [watching.connect(), watching.connect()];
      for (const flags of [0, watchUniq, watchFull, watchAppend]) watch(client, 'a', flags);
      watch(client, 'b', waitcreate, 'new');
      const call = watch(asking, 'a', watchFull);
      await watching.settle();
      const stats = () => asking.rpc('kvs-watch.stats-get');
      const { rootref, rootseq } = kvs.root('ns')!;
      const root = { owner: 0, rootref, rootseq };
      assert.deepEqual(await stats(), {
        watchers: 6,
        'namespace-count': 2,
        namespaces: {
          ns: { ...root, watchers: 5 },
          new: { owner: -1, rootref: '(null)', rootseq: -1, watchers: 1 },
        },
      });
      client.disconnect();
      await watching.settle();
      assert.deepEqual(await stats(), {
        watchers: 1,
        'namespace-count': 1,
        namespaces: { ns: { ...root, watchers: 1 } },
      });
      asking.notify('kvs-watch.cancel', { matchtag: call.request.matchtag });
      await watching.settle();
      assert.deepEqual(await stats(), { watchers: 0, 'namespace-count': 0, namespaces: {} });
    });

    test('a matchtag that is in use is refused until its watch has ended', async () => {
      const watching = await Watching.start(source);
      watching.kvs.commit('ns', new KvsTransaction().put('a', '1'));
      const client = watching.connect();
      const call = watch(client, 'a');
      client.send(call.request.clone());
      await watching.settle();
      assert.deepEqual(told(call), ['1', 'EINVAL']);
      client.notify('kvs-watch.cancel', { matchtag: call.request.matchtag });
      await watching.settle();
      client.send(call.request.clone());
      await watching.settle();
      assert.deepEqual(told(call), ['1', 'EINVAL', 'ENODATA', '1']);
    });
  });
}

type Malformed = [what: string, payload: JsonObject, isStream: boolean, code: ErrnoName, text: RegExp];

const malformed: Malformed[] = [
  ['no key', { namespace: 'ns', flags: 4 }, true, 'EPROTO', /key/],
  ['no namespace', { key: 'a', flags: 4 }, true, 'EPROTO', /namespace/],
  ['no flags', { namespace: 'ns', key: 'a' }, true, 'EPROTO', /flags/],
  ['a watch that is no stream', { namespace: 'ns', key: 'a', flags: 4 }, false, 'EPROTO', /watch request rejected/],
  ['a stream that is no stream', { namespace: 'ns', key: 'a', flags: 512 }, false, 'EPROTO', /stream request rejected/],
  ['watch and stream', { namespace: 'ns', key: 'a', flags: 516 }, true, 'EINVAL', /at the same time/],
  ...[64, 128, 256, 1024].map(
    (flag): Malformed => [
      `flag ${flag} without watch`,
      { namespace: 'ns', key: 'a', flags: flag },
      true,
      'EINVAL',
      /Must set KVS watch flag/,
    ],
  ),
  ['a sentinel without append', { namespace: 'ns', key: 'a', flags: 1028 }, true, 'EINVAL', /append flag/],
];

test('requests that make no sense are refused', async () => {
  const watching = await Watching.start('calls');
  watching.kvs.commit('ns', new KvsTransaction().put('a', '1'));
  const client = watching.connect();
  for (const [what, payload, isStream, code, text] of malformed) {
    const flags = isStream ? { flags: Flag.streaming } : {};
    await refused(client.rpc('kvs-watch.lookup', payload, flags), code, text).catch((error: Error) => {
      throw new Error(`${what}: ${error.message}`);
    });
  }
  assert.deepEqual((await client.rpc('kvs-watch.stats-get')).watchers, 0);
});

test('nothing is told when the module is gone', async () => {
  const watching = await Watching.start('calls');
  const { kvs } = watching;
  kvs.commit('ns', new KvsTransaction().put('a', '1'));
  const client = watching.connect();
  const call = watch(client, 'a');
  await watching.settle();
  await client.rpc('module.remove', { name: 'kvs-watch' });
  kvs.commit('ns', new KvsTransaction().put('a', '2'));
  await watching.settle();
  assert.deepEqual(told(call), ['1', 'ENOSYS']);
});

test('a commit that is told before the root is, is told once', async () => {
  const watching = await Watching.start('messages');
  const { kvs } = watching;
  kvs.hold('getroot');
  const call = watch(watching.connect(), 'a');
  await watching.settle();
  kvs.commit('ns', new KvsTransaction().put('a', '1'));
  await watching.settle();
  kvs.release();
  await watching.settle();
  assert.deepEqual(told(call), ['1']);
});
