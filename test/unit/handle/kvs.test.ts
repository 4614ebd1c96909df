// The typed calls of KVS and content: what they send, and what they make of the answers.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommitFlag, LookupFlag } from '../../../core/formats/kvs-flags.ts';
import { makeDir, makeDirref, makeSymlink, makeVal, type Treeobj } from '../../../core/formats/treeobj.ts';
import { Content } from '../../../core/handle/content.ts';
import { Handle } from '../../../core/handle/handle.ts';
import { createNamespace, Kvs, listNamespaces, removeNamespace } from '../../../core/handle/kvs.ts';
import { KvsTransaction } from '../../../core/handle/kvs-transaction.ts';
import { Flag, NODEID_ANY, type Payload } from '../../../core/message/message.ts';
import { refused, throwsCode } from '../../errors.ts';
import { Server } from './server.ts';

const rootref = `sha1-${'1'.repeat(40)}`;
const root = { rootref, rootseq: 7 };
const text = (value: string): { val: Treeobj } => ({ val: makeVal(Buffer.from(value)) });

async function withServer(run: (handle: Handle, server: Server) => Promise<void>): Promise<void> {
  const server = await Server.listen();
  const handle = await Handle.open(server.uri, { env: {} });
  try {
    await run(handle, server);
  } finally {
    await handle.close();
    await server.close();
  }
}

interface Call {
  readonly what: string;
  readonly call: (kvs: Kvs, handle: Handle) => Promise<unknown>;
  /** The topic, payload and nodeid that are sent. */
  readonly sends: readonly [topic: string, payload: unknown, nodeid?: number];
  readonly answer: Payload | undefined;
  readonly result: unknown;
}

const inNamespace = { namespace: 'ns' };

const calls: Call[] = [
  {
    what: 'commit',
    call: (kvs) => kvs.commit(new KvsTransaction().put('a', '1'), { flags: CommitFlag.sync }),
    sends: ['kvs.commit', { ...inNamespace, flags: 4, ops: [{ key: 'a', flags: 0, dirent: text('1').val }] }],
    answer: root,
    result: root,
  },
  {
    what: 'fence',
    call: (kvs) => kvs.fence('f', 2, new KvsTransaction()),
    sends: ['kvs.fence', { ...inNamespace, name: 'f', nprocs: 2, flags: 0, ops: [] }],
    answer: root,
    result: root,
  },
  {
    what: 'lookup',
    call: (kvs) => kvs.lookup('a', { flags: LookupFlag.treeobj }),
    sends: ['kvs.lookup', { ...inNamespace, key: 'a', flags: 16 }],
    answer: { val: makeSymlink('b') },
    result: makeSymlink('b'),
  },
  {
    what: 'lookup in a root',
    call: (kvs) => kvs.lookup('a', { at: rootref }),
    sends: ['kvs.lookup', { key: 'a', flags: 0, rootdir: makeDirref(rootref) }],
    answer: text('1'),
    result: text('1').val,
  },
  {
    what: 'lookup in a tree object',
    call: (kvs) => kvs.lookup('a', { at: { any: 'thing' } }),
    sends: ['kvs.lookup', { key: 'a', flags: 0, rootdir: { any: 'thing' } }],
    answer: text('1'),
    result: text('1').val,
  },
  {
    what: 'lookup that waits',
    call: (kvs) => kvs.lookup('a', { flags: LookupFlag.waitcreate }),
    sends: ['kvs-watch.lookup', { ...inNamespace, key: 'a', flags: 8 }],
    answer: text('1'),
    result: text('1').val,
  },
  {
    what: 'lookup with its root',
    call: (kvs) => kvs.lookupPlus('a'),
    sends: ['kvs.lookup-plus', { ...inNamespace, key: 'a', flags: 0 }],
    answer: { ...root, ...text('1') },
    result: { ...root, value: text('1').val },
  },
  {
    what: 'lookup of what is not there with its root',
    call: (kvs) => kvs.lookupPlus('a'),
    sends: ['kvs.lookup-plus', { ...inNamespace, key: 'a', flags: 0 }],
    answer: { ...root, errno: 2 },
    result: { ...root, value: undefined },
  },
  {
    what: 'text',
    call: (kvs) => kvs.getText('a'),
    sends: ['kvs.lookup', { ...inNamespace, key: 'a', flags: 0 }],
    answer: text('é'),
    result: 'é',
  },
  {
    what: 'JSON',
    call: (kvs) => kvs.getJson('a'),
    sends: ['kvs.lookup', { ...inNamespace, key: 'a', flags: 0 }],
    answer: text('[1,{"a":null}]'),
    result: [1, { a: null }],
  },
  {
    what: 'a directory',
    call: async (kvs) => [...(await kvs.readdir())],
    sends: ['kvs.lookup', { ...inNamespace, key: '.', flags: 1 }],
    answer: { val: makeDir({ b: makeSymlink('x'), a: makeDirref(rootref) }) },
    result: [
      ['a', makeDirref(rootref)],
      ['b', makeSymlink('x')],
    ],
  },
  {
    what: 'a link',
    call: (kvs) => kvs.readlink('l'),
    sends: ['kvs.lookup', { ...inNamespace, key: 'l', flags: 2 }],
    answer: { val: makeSymlink('x', 'other') },
    result: { target: 'x', namespace: 'other' },
  },
  {
    what: 'the root',
    call: (kvs) => kvs.getroot(),
    sends: ['kvs.getroot', { ...inNamespace, flags: 0 }],
    answer: { ...root, ...inNamespace, owner: -1, flags: 0 },
    result: { ...root, ...inNamespace, owner: 0xffff_ffff, flags: 0 },
  },
  {
    what: 'a version',
    call: (kvs) => kvs.waitVersion(7),
    sends: ['kvs.wait-version', { ...inNamespace, rootseq: 7 }],
    answer: root,
    result: root,
  },
  {
    what: 'a new namespace with a root',
    call: (_, handle) => createNamespace(handle, 'new', { owner: 4_000_000_000, rootref }),
    sends: ['kvs.namespace-create', { namespace: 'new', rootref, owner: -294_967_296, flags: 0 }, 0],
    answer: undefined,
    result: undefined,
  },
  {
    what: 'the end of a namespace',
    call: (_, handle) => removeNamespace(handle, 'old'),
    sends: ['kvs.namespace-remove', { namespace: 'old' }, 0],
    answer: undefined,
    result: undefined,
  },
  {
    what: 'all namespaces',
    call: (_, handle) => listNamespaces(handle),
    sends: ['kvs.namespace-list', undefined],
    answer: { namespaces: [{ namespace: 'primary', owner: 0, flags: 0 }] },
    result: [{ namespace: 'primary', owner: 0, flags: 0 }],
  },
  {
    what: 'flush',
    call: (_, handle) => new Content(handle).flush(),
    sends: ['content.flush', undefined],
    answer: undefined,
    result: undefined,
  },
  {
    what: 'dropcache',
    call: (_, handle) => new Content(handle).dropCache(),
    sends: ['content.dropcache', undefined],
    answer: undefined,
    result: undefined,
  },
  {
    what: 'checkpoints',
    call: (_, handle) => new Content(handle, { bypassCache: true }).checkpoints(),
    sends: ['content-backing.checkpoint-get', undefined, 0],
    answer: { value: [{ version: 1, rootref, sequence: 7, timestamp: 1.5 }] },
    result: [{ rootref, sequence: 7, timestamp: 1.5 }],
  },
];

for (const { what, call, sends, answer, result } of calls) {
  test(`${what} is one request`, () =>
    withServer(async (handle, server) => {
      server.onRequest = (request) => server.respond(request, answer);
      assert.deepEqual(await call(new Kvs(handle, 'ns'), handle), result);
      const [topic, payload, nodeid = NODEID_ANY] = sends;
      const sent = server.received.map((request) => [request.topic, request.json, request.nodeid]);
      assert.deepEqual(sent, [[topic, payload, nodeid]]);
    }));
}

test('a transaction keeps the order of its changes', () => {
  const changes = new KvsTransaction()
    .put('a', 'é')
    .put('b', new Uint8Array([0, 255]))
    .putJson('c', { n: [1, null] })
    .append('d', 'x')
    .appendEvent('e', { timestamp: 1, name: 'n' })
    .mkdir('f')
    .symlink('g', 'a')
    .symlink('h', 'a', 'other')
    .unlink('i')
    .putTreeobj('j', makeDirref(rootref));
  const val = (data: string) => ({ ver: 1, type: 'val', data });
  assert.deepEqual(changes.operations, [
    { key: 'a', flags: 0, dirent: val('w6k=') },
    { key: 'b', flags: 0, dirent: val('AP8=') },
    { key: 'c', flags: 0, dirent: val(btoa('{"n":[1,null]}')) },
    { key: 'd', flags: 32, dirent: val('eA==') },
    { key: 'e', flags: 32, dirent: val(btoa('{"timestamp":1.0,"name":"n"}\n')) },
    { key: 'f', flags: 0, dirent: { ver: 1, type: 'dir', data: {} } },
    { key: 'g', flags: 0, dirent: { ver: 1, type: 'symlink', data: { target: 'a' } } },
    { key: 'h', flags: 0, dirent: { ver: 1, type: 'symlink', data: { target: 'a', namespace: 'other' } } },
    { key: 'i', flags: 0, dirent: null },
    { key: 'j', flags: 0, dirent: { ver: 1, type: 'dirref', data: [rootref] } },
  ]);
  throwsCode(() => changes.unlink(''), 'EINVAL', /key/);
});

test('the namespace is that of the environment, or the primary one', () =>
  withServer(async (handle) => {
    const { FLUX_KVS_NAMESPACE: before } = process.env;
    try {
      delete process.env.FLUX_KVS_NAMESPACE;
      assert.equal(new Kvs(handle).namespace, 'primary');
      process.env.FLUX_KVS_NAMESPACE = 'mine';
      assert.equal(new Kvs(handle).namespace, 'mine');
    } finally {
      if (before === undefined) delete process.env.FLUX_KVS_NAMESPACE;
      else process.env.FLUX_KVS_NAMESPACE = before;
    }
  }));

const wrong: [what: string, val: Treeobj, call: (kvs: Kvs) => Promise<unknown>, code: 'EINVAL' | 'EPROTO'][] = [
  ['a value that is a directory', makeDir(), (kvs) => kvs.get('a'), 'EPROTO'],
  ['a directory that is a link', makeSymlink('x'), (kvs) => kvs.readdir('a'), 'EPROTO'],
  ['a link that is a directory', makeDir(), (kvs) => kvs.readlink('a'), 'EPROTO'],
  ['JSON that is none', makeVal(Buffer.from('{')), (kvs) => kvs.getJson('a'), 'EINVAL'],
];

for (const [what, val, call, code] of wrong) {
  test(`${what} is an error`, () =>
    withServer(async (handle, server) => {
      server.onRequest = (request) => server.respond(request, { val: val });
      await refused(call(new Kvs(handle, 'ns')), code);
    }));
}

test('a watch is a stream that is cancelled when its loop is left', () =>
  withServer(async (handle, server) => {
    server.onRequest = (request) => {
      if (request.topic !== 'kvs-watch.lookup') return;
      for (const answer of [text('1'), undefined]) server.respond(request, answer);
    };
    const seen: unknown[] = [];
    for await (const value of new Kvs(handle, 'ns').watch('a', LookupFlag.watchAppend | LookupFlag.initialSentinel)) {
      seen.push(value);
      if (!value) break;
    }
    assert.deepEqual(seen, [text('1').val, undefined]);
    const cancel = await server.request('kvs-watch.cancel');
    const request = server.received[0]!;
    assert.deepEqual(request.json, { namespace: 'ns', key: 'a', flags: 4 | 256 | 1024 });
    assert.ok(request.flags & Flag.streaming);
    assert.deepEqual(cancel.json, { matchtag: request.matchtag });
    assert.equal(cancel.wantsResponse, false);
  }));

test('a stream is the bytes of its answers', () =>
  withServer(async (handle, server) => {
    server.onRequest = (request) => {
      for (const piece of ['1', '2']) server.respond(request, text(piece));
      server.refuse(request, 61);
    };
    const pieces: string[] = [];
    for await (const piece of new Kvs(handle, 'ns').stream('a')) pieces.push(Buffer.from(piece).toString());
    assert.deepEqual(pieces, ['1', '2']);
    assert.deepEqual(
      server.received.map(({ json }) => json),
      [{ namespace: 'ns', key: 'a', flags: 512 }],
    );
  }));

test('an empty root is one of the hash that the instance uses', () =>
  withServer(async (handle, server) => {
    server.onRequest = (request) => {
      const isAttribute = request.topic === 'attr.get';
      server.respond(request, isAttribute ? { value: 'sha256', flags: 0 } : undefined);
    };
    await createNamespace(handle, 'new');
    assert.deepEqual(server.received[1]?.json, {
      namespace: 'new',
      rootref: 'sha256-61b85efa2a76db9377692c700b4e1edfc480bf224e0e9764b76f8082159d0ca0',
      owner: -1,
      flags: 0,
    });
  }));

for (const hash of ['sha1', 'sha256'] as const) {
  test(`blobs are stored and loaded by ${hash}`, () =>
    withServer(async (handle, server) => {
      const digest = Buffer.alloc(hash === 'sha1' ? 20 : 32, 0xab);
      const blobref = `${hash}-${digest.toString('hex')}`;
      server.onRequest = (request) =>
        server.respond(request, request.topic === 'content.load' ? Buffer.from('blob') : digest);
      const content = new Content(handle);
      assert.equal(await content.store(Buffer.from('blob')), blobref);
      assert.equal(Buffer.from(await content.load(blobref)).toString(), 'blob');
      assert.deepEqual(
        server.received.map(({ topic, bytes }) => [topic, Buffer.from(bytes!)]),
        [
          ['content.store', Buffer.from('blob')],
          ['content.load', digest],
        ],
      );
      await refused(content.load('sha1-12'), 'EINVAL', /blobref/);
    }));
}

test('the time of a checkpoint is a real number', () =>
  withServer(async (handle, server) => {
    server.onRequest = (request) => server.respond(request);
    await new Content(handle).putCheckpoint({ rootref, sequence: 7, timestamp: 42 });
    const [{ topic, nodeid, bytes }] = server.received as [(typeof server.received)[number]];
    assert.deepEqual([topic, nodeid], ['content.checkpoint-put', 0]);
    const sent = Buffer.from(bytes!).toString().replace(/\0$/, '');
    assert.equal(sent, `{"value":{"version":1,"rootref":"${rootref}","sequence":7,"timestamp":42.0}}`);
  }));

test('a tree is walked by name, directories before what is in them', () =>
  withServer(async (handle, server) => {
    const inner = `sha1-${'2'.repeat(40)}`;
    const value = makeVal(Buffer.from('1'));
    const dirs: Record<string, Treeobj> = {
      [rootref]: makeDir({ l: makeSymlink('a'), a: makeDirref(inner) }),
      [inner]: makeDir({ y: value, x: value }),
    };
    server.onRequest = (request) => {
      if (request.topic === 'kvs.getroot') server.respond(request, { ...root, ...inNamespace, owner: 0, flags: 0 });
      else {
        const { rootdir } = request.unpack({ rootdir: 'o' });
        server.respond(request, { val: dirs[(rootdir.data as string[])[0]!] });
      }
    };
    const walk = async (key?: string) => {
      const found: string[] = [];
      for await (const entry of new Kvs(handle, 'ns').walk(key)) found.push(`${entry.key} ${entry.value.type}`);
      return found;
    };
    assert.deepEqual(await walk(), ['a dirref', 'a.x val', 'a.y val', 'l symlink']);
    assert.deepEqual((await walk('.d.')).slice(0, 2), ['d.a dirref', 'd.a.x val']);
  }));
