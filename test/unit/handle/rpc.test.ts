// The asking side alone: matchtags, the order of answers, ends of all kinds; and the same against a slow model.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FluxError } from '../../../core/errno.ts';
import { type Responses, RpcClient, resultOf, Stream, untilEnd } from '../../../core/handle/rpc.ts';
import { Role } from '../../../core/message/credentials.ts';
import { Flag, MATCHTAG_NONE, type Message } from '../../../core/message/message.ts';
import { refused, throwsCode } from '../../errors.ts';

const owner = { userid: 0, rolemask: Role.owner };
const ENODATA = 61;

function make(): { client: RpcClient; sent: Message[] } {
  const sent: Message[] = [];
  return { client: new RpcClient((request) => sent.push(request)), sent };
}

const ok = (request: Message, n: number) => request.respond({ n }, owner);
const end = (request: Message, errnum = ENODATA) => request.respondError(errnum, undefined, owner);

test('each request has a matchtag of its own, and one without response has none', () => {
  const { client, sent } = make();
  for (let i = 0; i < 100; i++) client.request('a.b');
  client.notify('a.c');
  const tags = sent.slice(0, 100).map(({ matchtag }) => matchtag);
  assert.equal(new Set(tags).size, 100);
  assert.ok(!tags.includes(MATCHTAG_NONE));
  assert.deepEqual([sent[100]!.matchtag, sent[100]!.wantsResponse], [MATCHTAG_NONE, false]);
  assert.equal(client.pendingCount, 100);
});

test('what options say is in the request', () => {
  const { client, sent } = make();
  client.request('a.b', { x: 1 }, { nodeid: 5, flags: Flag.streaming, credentials: { userid: 7, rolemask: 2 } });
  const [{ topic, json, nodeid, isStreaming, userid, rolemask }] = sent as [Message];
  assert.deepEqual([topic, json, nodeid, isStreaming, userid, rolemask], ['a.b', { x: 1 }, 5, true, 7, 2]);
});

test('an answer is taken once', async () => {
  const { client, sent } = make();
  const call = client.rpc('a.b');
  assert.equal(client.receive(ok(sent[0]!, 1)), true);
  assert.equal(client.receive(ok(sent[0]!, 2)), false);
  assert.deepEqual(await call, { n: 1 });
  assert.equal(client.pendingCount, 0);
});

test('answers that come before they are asked for wait, in their order', async () => {
  const { client, sent } = make();
  const responses = client.request('a.b', undefined, { flags: Flag.streaming });
  for (const n of [1, 2, 3]) assert.equal(client.receive(ok(sent[0]!, n)), true);
  client.receive(end(sent[0]!));
  assert.equal(client.pendingCount, 0);
  for (const n of [1, 2, 3]) assert.deepEqual((await responses.next()).json, { n });
  assert.equal((await responses.next()).errnum, ENODATA);
});

test('a stream is pending until its error response', () => {
  const { client, sent } = make();
  client.request('a.b', undefined, { flags: Flag.streaming });
  client.receive(ok(sent[0]!, 1));
  assert.equal(client.pendingCount, 1);
  client.receive(end(sent[0]!));
  assert.equal(client.receive(ok(sent[0]!, 2)), false);
});

test('what is abandoned is not listened to', () => {
  const { client, sent } = make();
  const responses = client.request('a.b', undefined, { flags: Flag.streaming });
  responses.abandon();
  assert.equal(client.receive(ok(sent[0]!, 1)), false);
  assert.equal(client.pendingCount, 0);
});

test('a failure ends all that is pending, behind what had come, and all that follows', async () => {
  const { client, sent } = make();
  const waiting = client.rpc('a.1');
  const responses = client.request('a.2', undefined, { flags: Flag.streaming });
  client.receive(ok(sent[1]!, 1));
  client.fail(new FluxError('ECONNRESET'));
  await refused(waiting, 'ECONNRESET');
  assert.deepEqual((await responses.next()).json, { n: 1 });
  await refused(responses.next(), 'ECONNRESET');
  await refused(client.rpc('a.3'), 'ECONNRESET');
  assert.equal(sent.length, 2);
  assert.equal(client.pendingCount, 0);
});

test('an error response throws its errno and text', () => {
  const { client, sent } = make();
  client.request('a.b');
  throwsCode(() => resultOf(sent[0]!.respondError(2, 'missing', owner)), 'ENOENT', /^missing$/);
  assert.deepEqual(resultOf(ok(sent[0]!, 1)), { n: 1 });
});

test('untilEnd takes one answer after the other and resolves to what ended them', async () => {
  const { client, sent } = make();
  const take = (responses: Responses, got: unknown[]) =>
    untilEnd(responses, async (response) => {
      await new Promise((resolve) => setImmediate(resolve));
      got.push(response.json);
    });
  const [one, two]: [unknown[], unknown[]] = [[], []];
  const ends = [take(client.request('a.1', undefined, { flags: Flag.streaming }), one)];
  ends.push(take(client.request('a.2', undefined, { flags: Flag.streaming }), two));
  for (const n of [1, 2]) client.receive(ok(sent[0]!, n));
  client.receive(end(sent[0]!));
  client.receive(ok(sent[1]!, 3));
  await ends[0];
  client.fail(new FluxError('EPIPE'));
  assert.deepEqual(
    (await Promise.all(ends)).map(({ code }) => code),
    ['ENODATA', 'EPIPE'],
  );
  assert.deepEqual([one, two], [[{ n: 1 }, { n: 2 }], [{ n: 3 }]]);
});

test('a stream whose loop is left is canceled; one that ended, or failed, is not', async () => {
  const { client, sent } = make();
  for (const [last, leaves, cancels] of [
    [ENODATA, false, 0],
    [5, false, 0],
    [ENODATA, true, 1],
  ] as const) {
    let canceled = 0;
    const responses = client.request('a.b', undefined, { flags: Flag.streaming });
    const stream = new Stream(
      responses,
      ({ json }) => json,
      () => canceled++,
    );
    client.receive(ok(sent.at(-1)!, 1));
    client.receive(end(sent.at(-1)!, last));
    try {
      for await (const _ of stream) if (leaves) break;
    } catch (error) {
      assert.equal((error as FluxError).code, 'EIO');
    }
    assert.equal(canceled, cancels);
  }
});

const step = fc.oneof(
  fc.record({ act: fc.constant('ask' as const), which: fc.constant(0), streaming: fc.boolean() }),
  fc.record({
    act: fc.constantFrom('answer' as const, 'end' as const, 'read' as const, 'abandon' as const),
    which: fc.nat(20),
    streaming: fc.constant(false),
  }),
);

test('any course of requests and answers is as a list of requests would have it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80, size: 'max' }), async (steps) => {
      const { client, sent } = make();
      const model: { responses: Responses; streaming: boolean; open: boolean; queue: number[] }[] = [];
      let number = 0;
      for (const { act, which, streaming } of steps) {
        if (act === 'ask') {
          const responses = client.request('a.b', undefined, { flags: streaming ? Flag.streaming : 0 });
          model.push({ responses, streaming, open: true, queue: [] });
          continue;
        }
        if (model.length === 0) continue;
        const index = which % model.length;
        const entry = model[index]!;
        if (act === 'abandon') {
          entry.responses.abandon();
          entry.open = false;
        } else if (act === 'read') {
          const expected = entry.queue.shift();
          if (expected === undefined) continue;
          const { errnum, json } = await entry.responses.next();
          assert.deepEqual(errnum ? -1 : (json as { n: number }).n, expected);
        } else {
          const isEnd = act === 'end';
          const message = isEnd ? end(sent[index]!) : ok(sent[index]!, ++number);
          assert.equal(client.receive(message), entry.open);
          if (entry.open) entry.queue.push(isEnd ? -1 : number);
          if (isEnd || !entry.streaming) entry.open = false;
        }
        assert.equal(client.pendingCount, model.filter(({ open }) => open).length);
      }
    }),
    { numRuns: 150 },
  );
});
