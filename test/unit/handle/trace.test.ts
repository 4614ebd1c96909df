// Traces: which messages are told to whom, and how they are shown.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Request } from '../../../core/handle/methods.ts';
import { Tracer } from '../../../core/handle/trace.ts';
import { type JsonObject, real } from '../../../core/json.ts';
import { Role } from '../../../core/message/credentials.ts';
import { Flag, Message, MessageType } from '../../../core/message/message.ts';
import { throwsCode } from '../../errors.ts';

const owner = { userid: 0, rolemask: Role.owner };
const all = { typemask: 15, topic_glob: '*' };

/** A tracer with one trace, and what that is told. */
function trace(filter: JsonObject): { tracer: Tracer; told: JsonObject[]; request: Request } {
  const tracer = new Tracer(() => 12.5);
  const told: JsonObject[] = [];
  const message = Message.request({
    topic: 'module.trace',
    payload: filter,
    flags: Flag.streaming,
    credentials: owner,
  });
  const request = new Request(message, owner, (response) => told.push(response.json as JsonObject));
  tracer.add(request);
  return { tracer, told, request };
}

const ask = (topic: string, payload?: JsonObject, flags = 0) =>
  Message.request({ topic, payload, flags, credentials: owner });

test('a message is shown with what it is and where it passes', () => {
  const { tracer, told } = trace(all);
  tracer.link('tx', 3, ask('a.b', { x: 1 }));
  tracer.module('rx', 'mod', ask('c.d'));
  const common = { timestamp: real(12.5), type: 1, errnum: 0, errstr: '', payload: null };
  assert.deepEqual(told, [
    { ...common, prefix: 'tx', rank: 3, name: null, topic: 'a.b', payload_size: 8 },
    { ...common, prefix: 'rx', rank: -1, name: 'mod', topic: 'c.d', payload_size: 0 },
  ]);
});

test('a full trace shows payloads that are JSON, and what an error says', () => {
  const { tracer, told } = trace({ ...all, full: true });
  const request = ask('a.b', { x: 1 });
  tracer.link('tx', 3, request);
  tracer.link('tx', 3, Message.event('a.c', Buffer.from([0xff, 0xfe])));
  tracer.link('rx', 3, request.respondError(2, 'missing', owner));
  tracer.link('rx', 3, request.respond([1], owner));
  assert.deepEqual(
    told.map(({ type, payload, payload_size, errnum, errstr }) => [type, payload, payload_size, errnum, errstr]),
    [
      [MessageType.request, { x: 1 }, 8, 0, ''],
      [MessageType.event, null, 2, 0, ''],
      [MessageType.response, null, 0, 2, 'missing'],
      [MessageType.response, [1], 4, 0, ''],
    ],
  );
});

test('a trace that is not full tells an error by its number alone', () => {
  const { tracer, told } = trace(all);
  tracer.link('rx', 3, ask('a.b').respondError(2, 'missing', owner));
  assert.deepEqual([told[0]!.errnum, told[0]!.errstr], [2, '']);
});

test('control messages are shown by their kind and status', () => {
  const { tracer, told } = trace(all);
  for (const [type, status] of [
    [0, 0],
    [1, 3],
    [2, 0],
    [9, 1],
  ] as const)
    tracer.link('tx', 1, Message.control(type, status));
  assert.deepEqual(
    told.map(({ topic, type }) => [topic, type]),
    [
      ['heartbeat 0', MessageType.control],
      ['status 3', MessageType.control],
      ['disconnect 0', MessageType.control],
      ['unknown 1', MessageType.control],
    ],
  );
});

const passing: ((tracer: Tracer) => void)[] = [
  (tracer) => tracer.link('tx', 1, ask('a.b')),
  (tracer) => tracer.link('tx', 2, ask('a.b').respond({}, owner)),
  (tracer) => tracer.link('rx', 1, Message.event('a.event', undefined)),
  (tracer) => tracer.link('rx', 2, Message.control(1, 0)),
  (tracer) => tracer.module('tx', 'm', ask('m.x')),
  (tracer) => tracer.module('tx', 'n', ask('n.x')),
];

for (const [filter, expected] of [
  [{}, [0, 1, 2, 3, 4, 5]],
  [{ typemask: 1 }, [0, 4, 5]],
  [{ typemask: 2 | 4 }, [1, 2]],
  [{ typemask: 8 }, [3]],
  [{ typemask: 0 }, []],
  [{ topic_glob: 'a.*' }, [0, 1, 2]],
  [{ topic_glob: 'a.b' }, [0, 1]],
  [{ topic_glob: '' }, []],
  [{ nodeid: 1 }, [0, 2, 4, 5]],
  [{ nodeid: -1 }, [0, 1, 2, 3, 4, 5]],
  [{ names: [] }, [0, 1, 2, 3, 4, 5]],
  [{ names: ['n', 'other'] }, [5]],
] as [JsonObject, number[]][]) {
  test(`of all that passes ${JSON.stringify(filter)} shows ${expected.length}`, () => {
    const { tracer, told } = trace({ ...all, ...filter });
    const shown = passing.flatMap((pass, index) => {
      const before = told.length;
      pass(tracer);
      return told.length > before ? [index] : [];
    });
    assert.deepEqual(shown, expected);
  });
}

test('a trace does not show traces, but for the request of one that is refused', () => {
  const { tracer, told } = trace(all);
  tracer.module('rx', 'm', ask('module.trace', {}, Flag.streaming));
  tracer.module('tx', 'm', ask('overlay.trace').respond({}, owner));
  assert.deepEqual(told, []);
  tracer.module('rx', 'm', ask('module.trace'));
  assert.equal(told.length, 1);
});

test('each trace has a filter of its own, and ends by itself', () => {
  const { tracer, told, request } = trace(all);
  assert.equal(tracer.isIdle, false);
  const other: unknown[] = [];
  const message = Message.request({
    topic: 'module.trace',
    payload: { typemask: 4, topic_glob: '*' },
    flags: Flag.streaming,
    credentials: owner,
  });
  tracer.add(new Request(message, owner, (response) => other.push(response.json)));
  tracer.link('tx', 1, ask('a.b'));
  tracer.requests.remove(request);
  tracer.link('tx', 1, Message.event('a', undefined));
  assert.deepEqual([told.length, other.length], [1, 1]);
  tracer.requests.takeAll();
  assert.equal(tracer.isIdle, true);
});

for (const payload of [
  {},
  { typemask: 15 },
  { typemask: 'x', topic_glob: '*' },
  { ...all, names: 'm' },
  { ...all, nodeid: 'x' },
])
  test(`a trace of ${JSON.stringify(payload)} is refused`, () => throwsCode(() => trace(payload), 'EPROTO'));

test('a trace that is no stream is refused', () => {
  const tracer = new Tracer(() => 0);
  const request = new Request(ask('module.trace', all), owner, () => {});
  throwsCode(() => tracer.add(request), 'EPROTO', /^module\.trace requires the streaming flag$/);
  assert.equal(tracer.isIdle, true);
});
