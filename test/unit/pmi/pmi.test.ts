// The process management interface: lines, a server, and clients that talk to it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { SinglePmi } from '../../../core/pmi/pmi.ts';
import { SimplePmi } from '../../../core/pmi/simple-client.ts';
import { PmiServer } from '../../../core/pmi/simple-server.ts';
import { streamPair as pair } from '../../../core/pmi/stream-pair.ts';
import { decodePmi, encodePmi, PMI_LINE_MAX, PmiLines } from '../../../core/pmi/wire.ts';
import { refused, throwsCode } from '../../errors.ts';
import { startProgram } from './program.ts';

// ---- lines

/** Lines as RFC 13 shows them, and what they say. */
const lines: [line: string, fields: Record<string, string>][] = [
  ['cmd=init pmi_version=1 pmi_subversion=1', { cmd: 'init', pmi_version: '1', pmi_subversion: '1' }],
  ['cmd=put kvsname=k key=a value=b c=d', { cmd: 'put', kvsname: 'k', key: 'a', value: 'b c=d' }],
  ['cmd=get_result rc=0 msg=success value=a b', { cmd: 'get_result', rc: '0', msg: 'success', value: 'a b' }],
  ['cmd=abort exitcode=1 error_msg=no more', { cmd: 'abort', exitcode: '1', error_msg: 'no more' }],
  ['cmd=get_result rc=0 value=', { cmd: 'get_result', rc: '0', value: '' }],
  ['cmd=barrier_in', { cmd: 'barrier_in' }],
  ['cmd=put kvsname= key=__proto__ value=x', { cmd: 'put', kvsname: '', key: '__proto__', value: 'x' }],
];

test('lines are read and written', () => {
  for (const [line, fields] of lines) {
    assert.deepEqual({ ...decodePmi(line) }, fields, line);
    assert.equal(encodePmi(fields as { cmd: string }), `${line}\n`);
  }
  for (const line of ['', 'x', 'cmd', 'key=a', 'cmd=put  =', '=x', ' cmd=x', 'cmd=put a b'])
    throwsCode(() => decodePmi(line), 'EPROTO', /no line of PMI/);
  for (const fields of [
    { cmd: 'put', key: 'a b', value: 'c' },
    { cmd: 'put', value: 'a\nb' },
  ])
    throwsCode(() => encodePmi(fields), 'EINVAL', /PMI cannot say/);
});

test('a value comes back as it was written, whatever is in it', () => {
  const text = fc.string({ unit: 'binary' }).filter((value) => !value.includes('\n'));
  fc.assert(
    fc.property(text, (value) => {
      const line = encodePmi({ cmd: 'put', key: 'k', value });
      assert.equal(decodePmi(line.slice(0, -1)).value, value);
    }),
  );
});

test('lines are cut however they come in pieces, and none is endless', () => {
  const text = lines.map(([line]) => `${line}\n`).join('');
  fc.assert(
    fc.property(fc.array(fc.nat(text.length), { maxLength: 8 }), (cuts) => {
      const reader = new PmiLines();
      const ends = [...cuts.sort((a, b) => a - b), text.length];
      const got = ends.flatMap((end, index) => reader.take(text.slice(index ? ends[index - 1]! : 0, end)));
      assert.deepEqual(
        got,
        lines.map(([line]) => line),
      );
    }),
  );
  throwsCode(() => new PmiLines().take('x'.repeat(PMI_LINE_MAX + 1)), 'EPROTO', /too long/);
});

// ---- processes and their server

test('processes put and get over barriers, and are done', async () => {
  const { clients, server } = await startProgram(5, { 'flux.taskmap': 'a map' });
  assert.deepEqual(clients.map(({ rank, size, name }) => [rank, size, name]).at(-1), [4, 5, 'program']);
  await Promise.all(clients.map((pmi) => pmi.put(`key ${pmi.rank}`.replace(' ', '.'), `value of ${pmi.rank}`)));
  let passed = 0;
  const barriers = clients.slice(1).map((pmi) => pmi.barrier().then(() => passed++));
  await new Promise(setImmediate);
  assert.equal(passed, 0);
  await Promise.all([clients[0]!.barrier(), ...barriers]);
  for (const pmi of clients)
    for (let rank = 0; rank < 5; rank++) assert.equal(await pmi.get(`key.${rank}`), `value of ${rank}`);
  assert.equal(await clients[0]!.get('flux.taskmap'), 'a map');
  await Promise.all(clients.map((pmi) => pmi.barrier()));
  await Promise.all(clients.slice(1).map((pmi) => pmi.finalize()));
  assert.ok(!server.isDone);
  await clients[0]!.finalize();
  assert.ok(server.isDone);
});

test('what goes wrong is told to who asked', async () => {
  const { clients, ends, aborts } = await startProgram(2);
  const [pmi, other] = clients as [SimplePmi, SimplePmi];
  await refused(pmi.get('nope'), 'EIO', /get failed: key_not_found/);
  await refused(pmi.put('', 'x'), 'EIO', /invalid_key/);
  await refused(pmi.put('k'.repeat(64), 'x'), 'EIO', /invalid_key/);
  await refused(pmi.put('k', 'x'.repeat(1024)), 'EIO', /invalid_value/);
  await pmi.put('k'.repeat(63), 'x'.repeat(1023));
  const waiting = pmi.barrier();
  await refused(pmi.get('k'), 'EBUSY', /one thing at a time/);
  void other.abort('enough').catch(() => {});
  await new Promise(setImmediate);
  assert.deepEqual(aborts, [[1, 1, 'enough']]);
  ends[0]!.end();
  await refused(waiting, 'ECONNRESET', /server is gone/);
  await refused(pmi.barrier(), 'ECONNRESET', /server is gone/);
});

describe('a server', () => {
  const answers: [request: string, answer: string][] = [
    ['cmd=init pmi_version=2 pmi_subversion=0', 'cmd=response_to_init rc=-1 pmi_version=1 pmi_subversion=1'],
    ['cmd=get_maxes', 'cmd=maxes rc=0 kvsname_max=64 keylen_max=64 vallen_max=1024'],
    ['cmd=get_appnum', 'cmd=appnum rc=0 appnum=0'],
    ['cmd=get_universe_size', 'cmd=universe_size rc=0 size=1'],
    ['cmd=get kvsname=x key=a', 'cmd=get_result rc=-1 msg=invalid_kvsname'],
    ['cmd=put kvsname=p key=a', 'cmd=put_result rc=-1 msg=invalid_value'],
    ['cmd=lookup_name service=x', 'cmd=lookup_result rc=-1 msg=not_supported'],
    ['cmd=barrier_in', 'cmd=barrier_out rc=0'],
  ];
  const said: string[] = [];
  const server = new PmiServer({ name: 'p', size: 1, send: (_, line) => said.push(line), abort: () => {} });
  for (const [request, answer] of answers)
    test(`answers ${request}`, () => {
      server.receive(0, request);
      assert.equal(said.pop(), `${answer}\n`);
    });
  for (const line of ['', 'cmd=nope', 'hello', '\0'])
    test(`is not to be told ${JSON.stringify(line)}`, () => throwsCode(() => server.receive(0, line), 'EPROTO'));
});

test('a client trusts no server that says something else', async () => {
  for (const [line, code] of [
    ['cmd=maxes', 'EPROTO'],
    ['cmd=response_to_init rc=-1', 'EIO'],
    ['nonsense', 'EPROTO'],
  ] as const) {
    const [own, other] = pair();
    other.once('data', () => other.write(`${line}\n`));
    await refused(SimplePmi.open(own, 0, 1), code);
  }
  for (const [environment, code, text] of [
    [{}, 'ENOENT', /PMI_FD/],
    [{ PMI_FD: '5', PMI_RANK: 'x', PMI_SIZE: '1' }, 'EINVAL', /PMI_RANK=x/],
    [{ PMI_FD: '9999', PMI_RANK: '0', PMI_SIZE: '1' }, 'EBADF', /PMI_FD=9999/],
  ] as const)
    await refused(SimplePmi.fromEnvironment(environment), code, text);
});

test('who is alone has it, too', async () => {
  const pmi = new SinglePmi();
  await pmi.put('a', 'b');
  await pmi.barrier();
  assert.equal(await pmi.get('a'), 'b');
  await refused(pmi.get('c'), 'ENOENT', /no key c/);
  await refused(pmi.abort('no'), 'ECANCELED', /no/);
  await pmi.finalize();
  pmi.close();
});
