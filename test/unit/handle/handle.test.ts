// A handle against a socket that answers as the test says: calls, streams, events, services, and every way a connection
// can end.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Handle, type HandleOptions, type Handle as HandleType } from '../../../core/handle/handle.ts';
import { LATER } from '../../../core/handle/methods.ts';
import { Role, USERID_UNKNOWN } from '../../../core/message/credentials.ts';
import {
  Flag,
  MATCHTAG_NONE,
  Message,
  MessageType,
  NODEID_ANY,
  NODEID_UPSTREAM,
} from '../../../core/message/message.ts';
import { refused } from '../../errors.ts';
import { Server } from './server.ts';

const ENODATA = 61;
const owner = { userid: 0, rolemask: Role.owner };

/** Runs a test with a server and a handle that is connected to it. */
async function withHandle(run: (handle: HandleType, server: Server) => Promise<void>, options?: HandleOptions) {
  const server = await Server.listen();
  const handle = await Handle.open(server.uri, options ?? { env: {} });
  try {
    await run(handle, server);
  } finally {
    await handle.close();
    await server.close();
  }
}

// ---- opening

test('the address is the one given, or that of FLUX_URI', async () => {
  const server = await Server.listen();
  const handle = await Handle.open(undefined, { env: { FLUX_URI: server.uri } });
  assert.equal(handle.uri, server.uri);
  await handle.close();
  const other = await Handle.open(server.uri, { env: { FLUX_URI: 'local:///nowhere' } });
  await other.close();
  await server.close();
});

for (const [what, uri, code, text] of [
  ['no socket', 'local:///nonexistent/socket', 'ENOENT', /cannot connect to local:\/\/\/nonexistent\/socket/],
  ['no socket but a file', 'local:///etc/passwd', 'ECONNREFUSED', /cannot connect/],
  ['an unknown scheme', 'smtp://x', 'ENOENT', /no connector for 'smtp:\/\/'/],
  ['no scheme', '/tmp/x', 'EINVAL', /'\/tmp\/x' is no URI/],
  ['an empty address', '', 'EINVAL', /is no URI/],
  ['no descriptor', 'fd://x', 'EINVAL', /no file descriptor/],
  ['a negative descriptor', 'fd://-1', 'EINVAL', /no file descriptor/],
  ['no number at all', 'fd://', 'EINVAL', /no file descriptor/],
] as const) {
  test(`opening ${what} is refused with ${code}`, () => refused(Handle.open(uri), code, text));
}

test('a server may refuse a connection with an errno', async () => {
  const server = await Server.listen(Buffer.from([1]));
  await refused(Handle.open(server.uri), 'EPERM', /cannot connect to .*: Operation not permitted$/);
  await server.close();
});

test('a server that hangs up without a word refuses the connection', async () => {
  const server = await Server.listen(Buffer.alloc(0));
  const opened = Handle.open(server.uri);
  const check = refused(opened, 'ECONNRESET', /closed the connection/);
  while (!server.isConnected) await new Promise((resolve) => setImmediate(resolve));
  server.hangUp();
  await check;
  await server.close();
});

test('what comes right behind the first byte is not lost', async () => {
  const event = Message.event('early', { x: 1 });
  const { encodeFrame } = await import('../../../core/message/framing.ts');
  const server = await Server.listen(Buffer.concat([Buffer.from([0]), encodeFrame(event)]));
  const handle = await Handle.open(server.uri, { env: {} });
  server.onRequest = (request) => server.respond(request);
  // Nobody has subscribed when it comes; what is shown is that the connection works on.
  assert.equal(await handle.rpc('a.b'), undefined);
  await handle.close();
  await server.close();
});

// ---- credentials

test('a handle leaves its credentials to the broker', () =>
  withHandle(async (handle, server) => {
    handle.notify('a.b');
    const request = await server.request('a.b');
    assert.deepEqual([request.userid, request.rolemask], [USERID_UNKNOWN, Role.none]);
  }));

test('the environment may name another user and another role', () =>
  withHandle(
    async (handle, server) => {
      handle.notify('a.b');
      const request = await server.request('a.b');
      assert.deepEqual([request.userid, request.rolemask], [1000, Role.user]);
    },
    { env: { FLUX_HANDLE_USERID: '1000', FLUX_HANDLE_ROLEMASK: '2' } },
  ));

test('one of the two may be named alone', () =>
  withHandle(
    async (handle, server) => {
      handle.notify('a.b');
      const request = await server.request('a.b');
      assert.deepEqual([request.userid, request.rolemask], [USERID_UNKNOWN, 0x2]);
    },
    { env: { FLUX_HANDLE_ROLEMASK: '0x2' } },
  ));

for (const [name, value] of [
  ['FLUX_HANDLE_USERID', 'root'],
  ['FLUX_HANDLE_USERID', ''],
  ['FLUX_HANDLE_USERID', '-1'],
  ['FLUX_HANDLE_USERID', '4294967296'],
  ['FLUX_HANDLE_ROLEMASK', '1.5'],
] as const) {
  test(`${name}='${value}' is refused`, () =>
    refused(Handle.open('local:///x', { env: { [name]: value } }), 'EINVAL', new RegExp(name)));
}

// ---- calls

test('a call resolves to the payload of its answer, whatever the order of answers', () =>
  withHandle(async (handle, server) => {
    const [one, two, three] = [
      handle.rpc('a.1', { n: 1 }),
      handle.rpc('a.2'),
      handle.rpcBytes('a.3', Buffer.from('x')),
    ];
    const requests = [await server.request('a.1'), await server.request('a.2'), await server.request('a.3')];
    assert.deepEqual([requests[0]!.json, requests[1]!.hasPayload, requests[0]!.nodeid], [{ n: 1 }, false, NODEID_ANY]);
    assert.equal(new Set(requests.map(({ matchtag }) => matchtag)).size, 3);
    assert.ok(requests.every(({ matchtag }) => matchtag !== MATCHTAG_NONE));
    server.respond(requests[2]!, Buffer.from([1, 2]));
    server.respond(requests[1]!);
    server.respond(requests[0]!, { answer: true });
    assert.deepEqual(await one, { answer: true });
    assert.equal(await two, undefined);
    assert.deepEqual([...(await three)], [1, 2]);
  }));

test('a call rejects with the errno and the text of its answer', () =>
  withHandle(async (handle, server) => {
    server.onRequest = (request) =>
      server.refuse(request, 2, request.topic === 'a.text' ? 'what is not there' : undefined);
    await refused(handle.rpc('a.text'), 'ENOENT', /^what is not there$/);
    await refused(handle.rpc('a.b'), 'ENOENT', /^No such file or directory$/);
    await refused(handle.rpcBytes('a.b'), 'ENOENT');
  }));

test('bytes of a call that answers nothing are none', () =>
  withHandle(async (handle, server) => {
    server.onRequest = (request) => server.respond(request);
    assert.deepEqual([...(await handle.rpcBytes('a.b'))], []);
  }));

test('what is not to be answered has no matchtag and the flag that says so', () =>
  withHandle(async (handle, server) => {
    handle.notify('a.b', { x: 1 }, { nodeid: 3 });
    const request = await server.request('a.b');
    assert.deepEqual([request.wantsResponse, request.matchtag, request.nodeid], [false, MATCHTAG_NONE, 3]);
  }));

test('answers that nobody asked for are dropped', () =>
  withHandle(async (handle, server) => {
    const call = handle.rpc('a.b');
    const request = await server.request('a.b');
    const stray = request.respond({ wrong: true }, owner);
    stray.word2 = 999;
    server.send(stray, Message.control(0, 0), request.respond({ right: true }, owner), request.respond({}, owner));
    assert.deepEqual(await call, { right: true });
  }));

test('upstream is the own rank with a flag, asked for once', () =>
  withHandle(async (handle, server) => {
    server.onRequest = (request) =>
      server.respond(request, request.topic === 'attr.get' ? { value: '5', flags: 1 } : {});
    await Promise.all([
      handle.rpc('a.1', undefined, { nodeid: NODEID_UPSTREAM }),
      handle.rpc('a.2', undefined, { nodeid: NODEID_UPSTREAM }),
    ]);
    for (const topic of ['a.1', 'a.2']) {
      const request = await server.request(topic);
      assert.deepEqual([request.nodeid, request.flags & Flag.upstream], [5, Flag.upstream]);
    }
    assert.equal(server.received.filter(({ topic }) => topic === 'attr.get').length, 1);
  }));

test('a call upstream fails when the rank cannot be found out', () =>
  withHandle(async (handle, server) => {
    server.onRequest = (request) => server.refuse(request, 1);
    await refused(handle.rpc('a.b', undefined, { nodeid: NODEID_UPSTREAM }), 'EPERM');
  }));

test('a value that is no JSON rejects the call and not the connection', () =>
  withHandle(async (handle, server) => {
    server.onRequest = (request) =>
      request.topic === 'a.bad' ? server.respond(request, Buffer.from('{')) : server.respond(request, {});
    await refused(handle.rpc('a.bad'), 'EPROTO');
    assert.deepEqual(await handle.rpc('a.good'), {});
  }));

// ---- streams

test('a stream gives its answers and ends', () =>
  withHandle(async (handle, server) => {
    server.onRequest = (request) => {
      assert.ok(request.isStreaming);
      for (const n of [1, 2, 3]) server.respond(request, { n });
      server.refuse(request, ENODATA);
    };
    const got: unknown[] = [];
    for await (const value of handle.stream('a.b', { x: 1 })) got.push(value);
    assert.deepEqual(got, [{ n: 1 }, { n: 2 }, { n: 3 }]);
  }));

test('a stream that fails throws behind its answers', () =>
  withHandle(async (handle, server) => {
    server.onRequest = (request) => {
      server.respond(request, Buffer.from([7]));
      server.refuse(request, 5, 'broken');
    };
    const got: number[] = [];
    const read = async () => {
      for await (const bytes of handle.streamBytes('a.b')) got.push(...bytes);
    };
    await refused(read(), 'EIO', /^broken$/);
    assert.deepEqual(got, [7]);
  }));

test('leaving the loop cancels the stream, once, and what still comes is dropped', () =>
  withHandle(async (handle, server) => {
    server.onRequest = (request) => {
      if (request.topic === 'a.b') for (const n of [1, 2, 3]) server.respond(request, { n });
    };
    for await (const value of handle.stream('a.b', undefined, { cancelTopic: 'a.cancel', nodeid: 2 })) {
      assert.deepEqual(value, { n: 1 });
      break;
    }
    const cancel = await server.request('a.cancel');
    const request = await server.request('a.b');
    assert.deepEqual([cancel.json, cancel.nodeid, cancel.wantsResponse], [{ matchtag: request.matchtag }, 2, false]);
    server.refuse(request, ENODATA);
    const call = handle.rpc('a.c');
    server.respond(await server.request('a.c'), { fine: true });
    assert.deepEqual(await call, { fine: true });
    assert.equal(server.received.filter(({ topic }) => topic === 'a.cancel').length, 1);
  }));

test('a stream that was canceled ends by itself, and is not canceled again', () =>
  withHandle(async (handle, server) => {
    server.onRequest = (request) => {
      if (request.topic === 'a.b') server.respond(request, { n: 1 });
      else server.refuse(server.received[0]!, ENODATA);
    };
    const stream = handle.stream('a.b', undefined, { cancelTopic: 'a.cancel' });
    let count = 0;
    for await (const _ of stream) {
      count++;
      stream.cancel();
    }
    assert.equal(count, 1);
    assert.equal(server.received.filter(({ topic }) => topic === 'a.cancel').length, 1);
  }));

// ---- events

const eventTopics = async (queue: AsyncIterable<Message>, count: number): Promise<string[]> => {
  const topics: string[] = [];
  for await (const event of queue) if (topics.push(event.topic!) === count) break;
  return topics;
};

test('events come to every subscription whose prefix they begin with', () =>
  withHandle(async (handle, server) => {
    server.onRequest = (request) => server.respond(request);
    const [a, ab, all] = [await handle.subscribe('a'), await handle.subscribe('a.b'), await handle.subscribe('')];
    server.send(...['a.b.c', 'b', 'a.x', 'a.b'].map((topic) => Message.event(topic, undefined)));
    assert.deepEqual(await eventTopics(a, 3), ['a.b.c', 'a.x', 'a.b']);
    assert.deepEqual(await eventTopics(ab, 2), ['a.b.c', 'a.b']);
    assert.deepEqual(await eventTopics(all, 4), ['a.b.c', 'b', 'a.x', 'a.b']);
  }));

test('leaving the loop over events unsubscribes', () =>
  withHandle(async (handle, server) => {
    server.onRequest = (request) => {
      if (request.wantsResponse) server.respond(request);
    };
    const queue = await handle.subscribe('a');
    server.send(Message.event('a.1', undefined), Message.event('a.2', undefined));
    assert.deepEqual(await eventTopics(queue, 1), ['a.1']);
    const unsubscribe = await server.request('event.unsubscribe');
    assert.deepEqual([unsubscribe.json, unsubscribe.wantsResponse], [{ topic: 'a' }, false]);
    assert.deepEqual(await eventTopics(queue, 1), []);
  }));

test('a subscription that is refused throws and stays without effect', () =>
  withHandle(async (handle, server) => {
    server.onRequest = (request) => server.refuse(request, 1);
    await refused(handle.subscribe('a'), 'EPERM');
    server.send(Message.event('a', undefined));
  }));

test('loops over events end with the connection', () =>
  withHandle(async (handle, server) => {
    server.onRequest = (request) => server.respond(request);
    const queues = [await handle.subscribe('a'), await handle.subscribe('b.'), await handle.subscribe('')];
    const loops = queues.map((queue) => eventTopics(queue, 99));
    server.send(Message.event('a', undefined));
    server.hangUp();
    assert.deepEqual(await Promise.all(loops), [['a'], [], ['a']]);
  }));

test('an event is published by rank 0, which tells its number', () =>
  withHandle(async (handle, server) => {
    server.onRequest = (request) => server.respond(request, { seq: 12 });
    assert.equal(await handle.publish('a', { x: 1 }, { private: true }), 12);
    assert.equal(await handle.publish('b'), 12);
    const payload = Buffer.from('{"x":1}\0').toString('base64');
    assert.deepEqual(
      server.received.map((request) => [request.nodeid, request.json]),
      [
        [0, { topic: 'a', flags: Flag.private, payload }],
        [0, { topic: 'b', flags: 0 }],
      ],
    );
  }));

// ---- services

test('a handle answers for a name that it took, until it gives it back', () =>
  withHandle(async (handle, server) => {
    server.onRequest = (request) => server.respond(request);
    await handle.serve('mine', {
      twice: { handler: (request) => ({ n: request.unpack({ n: 'i' }).n * 2 }) },
      guests: { allow: Role.user, handler: () => undefined },
      later: {
        streaming: true,
        handler: (request) => {
          request.respond({ n: 1 });
          request.endStream();
          return LATER;
        },
      },
    });
    assert.deepEqual((await server.request('service.add')).json, { service: 'mine' });
    const ask = (topic: string, payload?: object, rolemask: number = Role.owner, flags = 0) => {
      const credentials = { userid: 5, rolemask };
      server.send(Message.request({ topic, payload: payload as never, matchtag: 7, credentials, flags }));
    };
    ask('mine.twice', { n: 4 });
    ask('mine.twice', {});
    ask('mine.twice', { n: 4 }, Role.user);
    ask('mine.guests', undefined, Role.user);
    ask('mine.nosuch');
    ask('mine.constructor');
    ask('other.twice', { n: 1 });
    ask('mine.later', undefined, Role.owner, Flag.streaming);
    const answers = () => server.received.filter(({ type }) => type === MessageType.response);
    await server.until(() => answers().length === 9);
    assert.deepEqual(
      answers().map((answer) => [answer.topic, answer.errnum || (answer.json ?? null), answer.matchtag]),
      [
        ['mine.twice', { n: 8 }, 7],
        ['mine.twice', 71, 7],
        ['mine.twice', 1, 7],
        ['mine.guests', null, 7],
        ['mine.nosuch', 38, 7],
        ['mine.constructor', 38, 7],
        ['other.twice', 38, 7],
        ['mine.later', { n: 1 }, 7],
        ['mine.later', ENODATA, 7],
      ],
    );
    await handle.unserve('mine');
    ask('mine.twice', { n: 4 });
    await server.until(() => answers().length === 10);
    assert.equal(answers()[9]!.errnum, 38);
  }));

test('a name that is taken is not answered for', () =>
  withHandle(async (handle, server) => {
    server.onRequest = (request) => server.refuse(request, 17);
    await refused(handle.serve('mine', { x: { handler: () => undefined } }), 'EEXIST');
  }));

test('a bug in a method is answered with EIO and reported', async () => {
  const bugs: [string, string][] = [];
  await withHandle(
    async (handle, server) => {
      server.onRequest = (request) => server.respond(request);
      const handler = () => {
        throw new TypeError('oops');
      };
      await handle.serve('mine', { x: { handler } });
      server.send(Message.request({ topic: 'mine.x', credentials: owner }));
      await server.until(() => server.received.some(({ type }) => type === MessageType.response));
      assert.equal(server.received.at(-1)!.errnum, 5);
    },
    { env: {}, onBug: (topic, error) => bugs.push([topic, (error as Error).message]) },
  );
  assert.deepEqual(bugs, [['mine.x', 'oops']]);
});

// ---- the end

for (const [what, end, code] of [
  ['the broker hangs up', (server: Server) => server.hangUp(), 'ECONNRESET'],
  ['what comes is no frame', (server: Server) => server.write(Buffer.from('HTTP/1.1 200 OK\r\n')), 'EPROTO'],
  [
    'a frame is too short for a message',
    (server: Server) => server.write(Buffer.from([0x12, 0, 0xee, 0xff, 0, 0, 0, 1, 0])),
    'EPROTO',
  ],
] as const) {
  test(`when ${what} everything fails with ${code}, from then on too`, () =>
    withHandle(async (handle, server) => {
      const calls = [handle.rpc('a.1'), handle.rpcBytes('a.2')];
      const stream = (async () => {
        for await (const _ of handle.stream('a.3')) assert.fail('an answer');
      })();
      const checks = [...calls, stream].map((call) => refused(call, code));
      await server.request('a.3');
      end(server);
      await Promise.all(checks);
      assert.equal((await handle.closed)?.code, code);
      await refused(handle.rpc('a.4'), code);
      await refused(handle.subscribe('x'), code);
      handle.notify('a.5');
    }));
}

test('closing fails what is pending, and what is asked later', () =>
  withHandle(async (handle, server) => {
    const pending = refused(handle.rpc('a.1'), 'ECONNABORTED', /the handle is closed/);
    await server.request('a.1');
    await handle.close();
    await pending;
    assert.equal(await handle.closed, undefined);
    await refused(handle.rpc('a.2'), 'ECONNABORTED');
    await handle.close();
    await server.until(() => !server.isConnected);
  }));

test('what was sent before closing arrives', () =>
  withHandle(async (handle, server) => {
    for (let i = 0; i < 50; i++) handle.notify('a.b', { text: 'x'.repeat(5000) });
    await handle.close();
    await server.until(() => !server.isConnected);
    assert.equal(server.received.length, 50);
  }));
