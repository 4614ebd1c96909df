// Commits to the module kvs: what is answered, which events there are, what fails alone and what fails together.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FluxError } from '../../../core/errno.ts';
import { CommitFlag, OperationFlag } from '../../../core/formats/kvs-flags.ts';
import { makeSymlink } from '../../../core/formats/treeobj.ts';
import { EMPTY, Fixture, gate, guest, OWNER, owner, put, putObject, settled } from './fixture.ts';
import { MemoryContent } from './memory-content.ts';

test('a fresh store has an empty primary namespace of the owner', async () => {
  const kvs = await Fixture.start();
  assert.deepEqual(await kvs.call('getroot', { namespace: 'primary' }), {
    owner: OWNER,
    rootseq: 0,
    rootref: EMPTY,
    flags: 0,
    namespace: 'primary',
  });
  assert.ok(kvs.content.cache.has(EMPTY), 'the empty directory is not stored');
});

test('a commit makes a new root, answers with it, and tells it by an event', async () => {
  const kvs = await Fixture.start();
  const { payload } = await kvs.commit([put('b', '1'), put('a.c', '2')]);
  assert.equal(payload.rootseq, 1);
  assert.deepEqual(await kvs.root(), payload);
  assert.equal(await kvs.get('a.c'), '2');
  assert.deepEqual(kvs.events, [
    {
      topic: 'kvs.namespace-primary-setroot',
      payload: {
        namespace: 'primary',
        rootseq: 1,
        rootref: payload.rootref,
        names: ['transaction_req.0.0'],
        keys: { b: null, 'a.c': null },
        owner: OWNER,
      },
    },
  ]);
});

test('transactions that come together are one commit: one root, one event, an answer for each', async () => {
  const kvs = await Fixture.start();
  const answers = await Promise.all(['a', 'b', 'c'].map((key) => kvs.commit([put(key, key)])));
  assert.deepEqual(
    answers.map(({ payload }) => payload.rootseq),
    [1, 1, 1],
  );
  assert.equal(new Set(answers.map(({ payload }) => payload.rootref)).size, 1);
  const [event, ...others] = kvs.eventsOf('setroot');
  assert.deepEqual(others, []);
  assert.deepEqual(event!.names, ['transaction_req.0.0', 'transaction_req.0.1', 'transaction_req.0.2']);
  assert.deepEqual(Object.keys(event!.keys as object), ['a', 'b', 'c']);
});

for (const [what, flags, args] of [
  ['that ask for it', CommitFlag.noMerge, []],
  ['where nothing is merged', 0, ['transaction-merge=0']],
] as const) {
  test(`transactions ${what} have a root each`, async () => {
    const kvs = await Fixture.start({ args });
    const answers = await Promise.all(['a', 'b', 'c'].map((key) => kvs.commit([put(key, key)], { flags })));
    assert.deepEqual(
      answers.map(({ payload }) => payload.rootseq),
      [1, 2, 3],
    );
    assert.equal(kvs.eventsOf('setroot').length, 3);
  });
}

test('one that wants to be alone does not change places with its neighbours', async () => {
  const kvs = await Fixture.start();
  const answers = await Promise.all([
    kvs.commit([put('a', '1')]),
    kvs.commit([put('a', '2')]),
    kvs.commit([put('a', '3')], { flags: CommitFlag.noMerge }),
    kvs.commit([put('a', '4')]),
    kvs.commit([put('b', '5')]),
  ]);
  assert.deepEqual(
    answers.map(({ payload }) => payload.rootseq),
    [1, 1, 2, 3, 3],
  );
  assert.equal(await kvs.get('a'), '4');
});

test('many that want to be alone leave the thread to others now and then', async () => {
  const kvs = await Fixture.start();
  const flags = CommitFlag.noMerge;
  const answers = Array.from({ length: 200 }, () => kvs.commit([], { flags }));
  await settled();
  assert.equal(kvs.openCount, 200 - 64);
  while (kvs.openCount) {
    assert.ok(kvs.agenda.step(), 'nothing goes on');
    await settled();
  }
  assert.equal((await answers.at(-1)!).payload.rootseq, 200);
});

test('very many that come together are some commits', async () => {
  const kvs = await Fixture.start();
  const answers = await Promise.all(Array.from({ length: 3000 }, (_, index) => kvs.commit([put(`k${index % 7}`, '')])));
  assert.deepEqual(new Set(answers.map(({ payload }) => payload.rootseq)), new Set([1, 2, 3]));
});

test('a transaction that can not be applied is answered alone, and leaves nothing behind', async () => {
  const kvs = await Fixture.start();
  await kvs.commit([put('d.x', '1')]);
  const answers = await Promise.all([
    kvs.commit([put('a', '1')]),
    kvs.commit([put('left', '1'), put('d', '2', OperationFlag.append)]),
    kvs.commit([put('b', '1')]),
  ]);
  assert.deepEqual(
    answers.map(({ errno, payload }) => [errno, payload.rootseq]),
    [
      ['', 2],
      ['EISDIR', undefined],
      ['', 2],
    ],
  );
  assert.deepEqual(await Promise.all(['a', 'b', 'left'].map((key) => kvs.get(key))), ['1', '1', undefined]);
  assert.deepEqual(kvs.eventsOf('error'), [{ namespace: 'primary', names: ['transaction_req.0.2'], errnum: 21 }]);
});

test('when all fail the root stays as it was', async () => {
  const kvs = await Fixture.start();
  const { errno } = await kvs.commit([put('.', '1')]);
  assert.equal(errno, 'EINVAL');
  assert.deepEqual(await kvs.root(), { rootref: EMPTY, rootseq: 0 });
  assert.deepEqual(kvs.eventsOf('setroot'), []);
});

test('a commit of nothing raises the version', async () => {
  const kvs = await Fixture.start();
  assert.deepEqual((await kvs.commit([])).payload, { rootref: EMPTY, rootseq: 1 });
  assert.equal(
    ((await kvs.call('stats-get')).namespace as Record<string, Record<string, number>>).primary!['#no-op stores'],
    1,
  );
});

const badCommits: readonly [what: string, payload: unknown, errno: string][] = [
  ['nothing', undefined, 'EPROTO'],
  ['no ops', { namespace: 'primary', flags: 0 }, 'EPROTO'],
  ['no flags', { namespace: 'primary', ops: [] }, 'EPROTO'],
  ['no namespace', { flags: 0, ops: [] }, 'EPROTO'],
  ['a namespace that is no string', { namespace: 1, flags: 0, ops: [] }, 'EPROTO'],
  ['flags that are a real', { namespace: 'primary', flags: 0.5, ops: [] }, 'EPROTO'],
  ['an unknown namespace', { namespace: 'nope', flags: 0, ops: [] }, 'EOPNOTSUPP'],
  ['an operation without key', { namespace: 'primary', flags: 0, ops: [{ flags: 0, dirent: null }] }, 'EPROTO'],
  ['no tree object', { namespace: 'primary', flags: 0, ops: [{ key: 'a', flags: 0, dirent: {} }] }, 'EINVAL'],
];

for (const [what, payload, errno] of badCommits) {
  test(`a commit with ${what} is ${errno}`, async () => {
    const kvs = await Fixture.start();
    assert.equal((await kvs.ask('commit', payload as never)).errno, errno);
    assert.equal((await kvs.root()).rootseq, 0);
  });
}

test('ops that are no array are none', async () => {
  const kvs = await Fixture.start();
  for (const ops of ['x', {}]) assert.equal((await kvs.commit(ops)).errno, '');
});

// ---- guests

test('guests commit to their own namespaces', async () => {
  const kvs = await Fixture.start();
  await kvs.createNamespace('theirs', 200);
  const user = guest(200);
  assert.equal((await kvs.commit([put('a', '1')], { namespace: 'theirs', user })).errno, '');
  assert.equal(await kvs.get('a', 'theirs', { user }), '1');
  assert.equal((await kvs.commit([put('a', '1')], { namespace: 'theirs', user: guest(201) })).errno, 'EPERM');
  assert.equal((await kvs.commit([put('a', '1')], { user })).errno, 'EPERM');
  assert.equal((await kvs.commit([put('a', '1')], { namespace: 'theirs', user: owner })).errno, '');
});

const guestObjects: readonly [dirent: unknown, text: string | undefined][] = [
  [{ ver: 1, type: 'val', data: 'YQ==' }, undefined],
  [{ ver: 1, type: 'dir', data: {} }, undefined],
  [null, undefined],
  [{ ver: 1, type: 'bogus', data: 'x' }, 'guests may not commit bogus objects'],
  ['x', 'guests may not commit unknown objects'],
  [{ ver: 1, type: 'valref', data: [EMPTY] }, 'guests may not commit valref objects'],
  [{ ver: 1, type: 'dirref', data: [EMPTY] }, 'guests may not commit dirref objects'],
  [{ ver: 1, type: 'symlink', data: { target: 'a' } }, 'guests may not commit symlink objects'],
  [
    { ver: 1, type: 'dir', data: { a: { ver: 1, type: 'val', data: '' } } },
    'guests may not commit non-empty dir objects',
  ],
];

for (const [dirent, text] of guestObjects) {
  test(`guests ${text === undefined ? 'may' : 'may not'} commit ${JSON.stringify(dirent)}`, async () => {
    const kvs = await Fixture.start();
    await kvs.createNamespace('theirs', 200);
    const answer = await kvs.commit([{ key: 'a', flags: 0, dirent: dirent as never }], {
      namespace: 'theirs',
      user: guest(),
    });
    assert.deepEqual([answer.errno, answer.text], text === undefined ? ['', undefined] : ['EPERM', text]);
  });
}

// ---- the store

test('a commit that needs what is not in memory waits for it; what comes meanwhile is one commit after it', async () => {
  const kvs = await Fixture.start();
  await kvs.commit([put('d.e.x', '1')]);
  const { rootref } = await kvs.root();
  await kvs.stop();
  const content = new MemoryContent(kvs.content.disk);
  const again = await Fixture.start({ content, args: [`initial-rootref=${rootref}`] });
  const slow = gate();
  content.pause = () => slow.promise;
  const first = again.commit([put('d.e.y', '2')]);
  await settled();
  const later = ['p', 'q'].map((key) => again.commit([put(`d.e.${key}`, '3')]));
  await settled();
  assert.equal(again.openCount, 3);
  slow.open();
  assert.equal((await first).payload.rootseq, 1);
  assert.deepEqual(await Promise.all(later.map(async (each) => (await each).payload.rootseq)), [2, 2]);
  assert.deepEqual(await Promise.all(['x', 'y', 'p', 'q'].map((name) => again.get(`d.e.${name}`))), [
    '1',
    '2',
    '3',
    '3',
  ]);
});

test('a namespace that waits holds up no other', async () => {
  const kvs = await Fixture.start();
  await kvs.createNamespace('slow', -1, 'sha1-0000000000000000000000000000000000000000');
  const slow = gate();
  kvs.content.pause = () => slow.promise;
  const waiting = kvs.commit([put('a', '1')], { namespace: 'slow' });
  assert.equal((await kvs.commit([put('a', '1')])).errno, '');
  slow.open();
  assert.equal((await waiting).errno, 'ENOENT');
});

test('a transaction whose blobs are lost fails alone', async () => {
  const kvs = await Fixture.start();
  const lost = { ver: 1, type: 'dirref', data: ['sha1-0000000000000000000000000000000000000000'] };
  await kvs.commit([{ key: 'lost', flags: 0, dirent: lost }]);
  const answers = await Promise.all([kvs.commit([put('lost.a', '1')]), kvs.commit([put('b', '1')])]);
  assert.deepEqual(
    answers.map(({ errno }) => errno),
    ['ENOENT', ''],
  );
  assert.equal(await kvs.get('b'), '1');
});

for (const isFull of [false, true]) {
  test(`a store that fails ${isFull ? 'later' : 'at once'} fails the commits, and the root stays as it was`, async () => {
    const kvs = await Fixture.start();
    await kvs.commit([put('a', '1')]);
    const before = await kvs.root();
    kvs.content.storeError = new FluxError('ENOSPC');
    kvs.content.isFull = isFull;
    const answers = await Promise.all(['b', 'c'].map((key) => kvs.commit([put(key, '2')])));
    assert.deepEqual(
      answers.map(({ errno }) => errno),
      ['ENOSPC', 'ENOSPC'],
    );
    assert.deepEqual(await kvs.root(), before);
    kvs.content.storeError = undefined;
    assert.equal((await kvs.commit([put('b', '3')])).payload.rootseq, 2);
    assert.equal(await kvs.get('b'), '3');
    assert.equal(await kvs.get('c'), undefined);
  });
}

test('a store that has no room yet delays the answer', async () => {
  const kvs = await Fixture.start();
  const room = gate();
  kvs.content.isFull = true;
  kvs.content.pause = () => room.promise;
  const waiting = kvs.commit([put('a', '1')]);
  await settled();
  assert.equal(kvs.openCount, 1);
  assert.equal((await kvs.root()).rootseq, 0);
  room.open();
  assert.equal((await waiting).payload.rootseq, 1);
});

test('a commit that is to be synchronized is answered when a checkpoint has it', async () => {
  const kvs = await Fixture.start();
  const disk = gate();
  kvs.content.pause = () => disk.promise;
  const waiting = kvs.commit([put('a', '1')], { flags: CommitFlag.sync });
  await settled();
  assert.equal(kvs.openCount, 1);
  assert.equal(kvs.content.disk.checkpoints.length, 0);
  disk.open();
  const { payload } = await waiting;
  const [checkpoint] = kvs.content.disk.checkpoints;
  assert.deepEqual([checkpoint!.rootref, checkpoint!.sequence, checkpoint!.version], [payload.rootref, 1, 1]);
  assert.ok(kvs.content.disk.blobs.has(payload.rootref as string));
});

test('commits that are to be synchronized share a checkpoint, and hold up no commit before them', async () => {
  const kvs = await Fixture.start();
  const answers = await Promise.all(
    [0, CommitFlag.sync, CommitFlag.sync, 0].map((flags, index) => kvs.commit([put(`k${index}`, '1')], { flags })),
  );
  assert.deepEqual(
    answers.map(({ payload }) => payload.rootseq),
    [1, 2, 2, 3],
  );
  assert.deepEqual(
    kvs.content.disk.checkpoints.map(({ sequence }) => sequence),
    [2],
  );
});

const noCheckpoints: readonly [what: string, prepare: (content: MemoryContent) => void, errno: string][] = [
  [
    'there is no backing store',
    (content) => {
      content.hasBacking = false;
    },
    'ENOSYS',
  ],
  [
    'the disk is full',
    (content) => {
      content.flushError = new FluxError('ENOSPC');
    },
    'ENOSPC',
  ],
];

for (const [what, prepare, errno] of noCheckpoints) {
  test(`to synchronize fails when ${what}, and the root stays as it was`, async () => {
    const kvs = await Fixture.start();
    prepare(kvs.content);
    assert.equal((await kvs.commit([put('a', '1')], { flags: CommitFlag.sync })).errno, errno);
    assert.deepEqual(await kvs.root(), { rootref: EMPTY, rootseq: 0 });
  });
}

test('only the primary namespace can be synchronized', async () => {
  const kvs = await Fixture.start();
  await kvs.createNamespace('other');
  assert.equal((await kvs.commit([], { namespace: 'other', flags: CommitFlag.sync })).errno, 'EINVAL');
});

// ---- links, fences, relays, pauses

test('a commit through a symlink into another namespace is refused', async () => {
  const kvs = await Fixture.start();
  await kvs.createNamespace('other');
  await kvs.commit([putObject('link', makeSymlink('a', 'other'))]);
  assert.equal((await kvs.commit([put('link.b', '1')])).errno, 'EINVAL');
});

test('a fence commits what all bring along, and answers all', async () => {
  const kvs = await Fixture.start();
  const enter = (name: string, key: string) =>
    kvs.ask('fence', { name, nprocs: 3, namespace: 'primary', flags: 0, ops: [put(key, key)] }, { client: key });
  const fence = ['a', 'b'].map((key) => enter('f', key));
  await settled();
  assert.equal((await kvs.root()).rootseq, 0);
  assert.equal(
    (await kvs.ask('fence', { name: 'f', nprocs: 2, namespace: 'primary', flags: 0, ops: [] })).errno,
    'EINVAL',
  );
  fence.push(enter('f', 'c'));
  for (const { payload } of await Promise.all(fence)) assert.equal(payload.rootseq, 1);
  assert.deepEqual(await Promise.all(['a', 'b', 'c'].map((key) => kvs.get(key))), ['a', 'b', 'c']);
});

test('a fence is broken when one of its processes is gone', async () => {
  const kvs = await Fixture.start();
  const fence = kvs.ask('fence', { name: 'f', nprocs: 2, namespace: 'primary', flags: 0, ops: [] }, { client: 'c1' });
  kvs.notify('disconnect', undefined, { client: 'c2' });
  kvs.notify('disconnect', undefined, { client: 'c1' });
  assert.equal((await fence).errno, 'ECONNABORTED');
});

test('what is no fence is no method', async () => {
  const kvs = await Fixture.start();
  assert.equal((await kvs.ask('fence', {})).errno, 'ENOSYS');
});

test("another rank's commit is answered by events", async () => {
  const kvs = await Fixture.start();
  kvs.notify('relaycommit', { namespace: 'primary', name: 'transaction_req.1.7', flags: 0, ops: [put('a', '1')] });
  kvs.notify('relaycommit', { namespace: 'primary', name: 'transaction_req.1.8', flags: 0, ops: [put('.', '1')] });
  kvs.notify('relaycommit', { namespace: 'nope', name: 'transaction_req.1.9', flags: 0, ops: [] });
  await settled();
  assert.deepEqual(kvs.eventsOf('setroot')[0]!.names, ['transaction_req.1.7']);
  assert.deepEqual(
    kvs.eventsOf('error').map(({ namespace, names, errnum }) => [namespace, names, errnum]),
    [
      ['nope', ['transaction_req.1.9'], 95],
      ['primary', ['transaction_req.1.8'], 22],
    ],
  );
  assert.equal((await kvs.ask('relaycommit', {}, { user: guest() })).errno, 'EPERM');
});

test('answers to commits wait while that is paused', async () => {
  const kvs = await Fixture.start();
  await kvs.call('setroot-pause', { namespace: 'primary' });
  const waiting = kvs.commit([put('a', '1')]);
  await settled();
  assert.equal(kvs.openCount, 1);
  await kvs.call('setroot-unpause', { namespace: 'primary' });
  assert.equal((await waiting).payload.rootseq, 1);
});

test('what stops has answered what it has stored, and its checkpoint has it', async () => {
  const kvs = await Fixture.start();
  await kvs.commit([put('a', '1')]);
  const { rootref } = await kvs.root();
  const late = kvs.commit([put('b', '1')]);
  await kvs.stop();
  assert.equal((await late).errno, 'ENOSYS');
  assert.equal(kvs.content.disk.checkpoints[0]!.rootref, rootref);
});
