// Requests that are not answered: those of a service, by client and matchtag, and those that went over a link.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { callMethod, Request } from '../../../core/handle/methods.ts';
import { endingMethods, RequestList } from '../../../core/handle/request-list.ts';
import { RpcTracker } from '../../../core/handle/tracker.ts';
import { type Credentials, Role } from '../../../core/message/credentials.ts';
import { Flag, Message } from '../../../core/message/message.ts';

const owner: Credentials = { userid: 100, rolemask: Role.owner };
const guest = (userid: number): Credentials => ({ userid, rolemask: Role.user });

interface Sent {
  readonly topic?: string;
  readonly sender?: string;
  readonly matchtag?: number;
  readonly flags?: number;
  readonly credentials?: Credentials;
  readonly payload?: { readonly [key: string]: number };
}

function message({
  topic = 'svc.x',
  sender = 'c',
  matchtag = 1,
  flags = 0,
  credentials = owner,
  payload,
}: Sent): Message {
  const made = Message.request({ topic, matchtag, flags, credentials, payload });
  made.routes.push(sender);
  made.routes.push('a hop');
  return made;
}

/** A request that notes its answers. */
function request(sent: Sent, answers: unknown[] = []): Request {
  return new Request(message({ flags: Flag.streaming, ...sent }), owner, (answer) =>
    answers.push(answer.errnum || (answer.json ?? null)),
  );
}

// ---- those of a service

test('requests that wait are all told, in their order, until they are taken out', () => {
  const list = new RequestList();
  const answers: unknown[] = [];
  const requests = [1, 2, 3].map((matchtag) => request({ matchtag }, answers));
  for (const each of requests) list.add(each);
  list.respondAll({ n: 1 });
  assert.deepEqual([answers.length, list.count], [3, 3]);
  list.remove(requests[1]!);
  assert.deepEqual([...list], [requests[0], requests[2]]);
  assert.deepEqual(list.takeAll(), [requests[0], requests[2]]);
  assert.deepEqual([list.count, list.takeAll()], [0, []]);
});

test('the list may change while it is gone through', () => {
  const list = new RequestList();
  const requests = [1, 2, 3].map((matchtag) => request({ matchtag }));
  for (const each of requests) list.add(each);
  const seen: Request[] = [];
  for (const each of list) {
    seen.push(each);
    if (seen.length < 3) list.add(request({ matchtag: 9 }));
    else list.takeAll();
  }
  assert.deepEqual(seen, requests);
});

/** Calls a method of a service as a message does. */
function call(list: RequestList, name: 'cancel' | 'disconnect', sent: Sent): unknown[] {
  const answers: unknown[] = [];
  const methods = endingMethods(Role.user, new RequestList(), list);
  callMethod(methods[name]!, request({ flags: 0, ...sent }, answers), (_, error) => assert.fail(String(error)));
  return answers;
}

for (const [what, asked, ending, ends] of [
  ['its client', { credentials: guest(7) }, { credentials: guest(7) }, true],
  ['the owner', { credentials: guest(7) }, { credentials: owner }, true],
  ['another user', { credentials: guest(7) }, { credentials: guest(8) }, false],
  ['a guest who did not ask', {}, { credentials: guest(7) }, false],
  ['another client', { credentials: guest(7) }, { credentials: guest(7), sender: 'other' }, false],
] as [string, Sent, Sent, boolean][]) {
  test(`a request is ${ends ? '' : 'not '}ended by ${what}`, () => {
    for (const name of ['cancel', 'disconnect'] as const) {
      const list = new RequestList();
      const answers: unknown[] = [];
      list.add(request({ ...asked, matchtag: 5 }, answers));
      call(list, name, { ...ending, payload: { matchtag: 5 } });
      assert.equal(list.count, ends ? 0 : 1, name);
      assert.deepEqual(answers, ends && name === 'cancel' ? [61] : [], name);
    }
  });
}

test('one request is canceled, and all of a client end with it', () => {
  const list = new RequestList();
  const answers: unknown[] = [];
  for (const matchtag of [5, 6, 7]) list.add(request({ matchtag }, answers));
  list.add(request({ matchtag: 6, sender: 'other' }, answers));
  assert.deepEqual(call(list, 'cancel', { payload: { matchtag: 9 } }), [null]);
  assert.equal(list.count, 4);
  call(list, 'cancel', { payload: { matchtag: 6 } });
  assert.deepEqual([list.count, answers], [3, [61]]);
  call(list, 'disconnect', {});
  assert.deepEqual([[...list].map(({ sender }) => sender), answers], [['other'], [61]]);
});

test('a cancellation names a matchtag', () => {
  assert.deepEqual(call(new RequestList(), 'cancel', { payload: {} }), [71]);
});

// ---- those that went over a link

const kinds = ['request', 'stream', 'noresponse', 'response', 'error', 'disconnect'] as const;
const passing = fc.record({
  kind: fc.constantFrom(...kinds),
  sender: fc.constantFrom('a', 'b'),
  matchtag: fc.integer({ min: 1, max: 3 }),
});

test('after any course of messages those are unanswered whose last answer did not pass, and whose client is there', () => {
  fc.assert(
    fc.property(fc.array(passing, { maxLength: 50, size: 'max' }), (messages) => {
      const tracker = new RpcTracker();
      const model = new Map<string, { sender: string; matchtag: number; streaming: boolean }>();
      for (const { kind, sender, matchtag } of messages) {
        const key = `${sender} ${matchtag}`;
        const streaming = kind === 'stream' || (model.get(key)?.streaming ?? false);
        const made = message({
          sender,
          matchtag,
          topic: kind === 'disconnect' ? 'svc.disconnect' : 'svc.x',
          flags:
            (kind === 'stream' || (kind !== 'request' && streaming) ? Flag.streaming : 0) |
            (kind === 'noresponse' || kind === 'disconnect' ? Flag.noresponse : 0),
        });
        const response = kind === 'error' ? made.respondError(61, undefined, owner) : made.respond({}, owner);
        if (kind === 'response' || kind === 'error') assert.equal(tracker.answered(response), model.has(key));
        else tracker.sent(made);
        if (kind === 'request' || kind === 'stream') model.set(key, { sender, matchtag, streaming: kind === 'stream' });
        else if (kind === 'error' || (kind === 'response' && !streaming)) model.delete(key);
        else if (kind === 'disconnect')
          for (const [each, { sender: other }] of [...model]) if (other === sender) model.delete(each);
        assert.equal(tracker.count, model.size);
      }
      const left = tracker.takeAll().map(({ routes, matchtag }) => `${routes.sender} ${matchtag}`);
      assert.deepEqual(left.toSorted(), [...model.keys()].toSorted());
      assert.deepEqual([tracker.count, tracker.takeAll()], [0, []]);
    }),
    { numRuns: 300 },
  );
});

test('a request is kept as it passed, whatever becomes of it afterwards', () => {
  const tracker = new RpcTracker();
  const passed = message({ payload: { n: 1 } });
  tracker.sent(passed);
  passed.routes.pop();
  passed.routes.push('elsewhere');
  const [kept] = tracker.takeAll();
  assert.deepEqual(kept!.routes.ids(), ['c', 'a hop']);
  assert.deepEqual(kept!.json, { n: 1 });
});

test('events and control messages are none of its business', () => {
  const tracker = new RpcTracker();
  tracker.sent(Message.event('a.disconnect', undefined));
  tracker.sent(Message.control(0, 0));
  assert.equal(tracker.count, 0);
});

test('a request that comes back and goes over a link again is answered as often, and is one when the link is lost', () => {
  for (const others of [[], [7, 8]]) {
    const tracker = new RpcTracker();
    for (const matchtag of others) tracker.sent(message({ matchtag }));
    const request = message({});
    tracker.sent(request);
    const answer = () => {
      const response = message({}).respond({}, owner);
      response.routes = request.routes.clone();
      return response;
    };
    const ways = [request.routes.toString()];
    for (const hop of ['above', 'here']) request.routes.push(hop);
    tracker.sent(request);
    assert.equal(tracker.count, others.length + 1);
    assert.deepEqual(
      [tracker.answered(answer()), tracker.answered(answer()), tracker.answered(answer())],
      [true, true, false],
    );
    assert.equal(tracker.count, others.length);
    request.routes.pop();
    request.routes.pop();
    tracker.sent(request);
    for (const hop of ['above', 'here']) request.routes.push(hop);
    tracker.sent(request);
    const lost = tracker.takeAll().filter(({ matchtag }) => matchtag === request.matchtag);
    assert.deepEqual(
      lost.map(({ routes }) => routes.toString()),
      ways,
    );
    assert.equal(tracker.count, 0);
  }
});
