// The time between a request to run and its program: the module waits for the socket and the environment of its rank.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ModuleHost } from '../../../core/broker/module-host.ts';
import { Flag, Message, MessageType } from '../../../core/message/message.ts';
import { rexecModule } from '../../../workers/rexec/rexec.ts';
import { SlowReaders } from '../../../workers/rexec/slow-readers.ts';
import { Agenda } from '../../sim/agenda.ts';
import { owner } from '../../sim/client.ts';
import { Programs, type SimulatedProcess } from '../../sim/programs.ts';
import { SeededRandom } from '../../sim/random.ts';

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** The module alone; `open` lets its rank have a socket. */
async function start() {
  const agenda = new Agenda();
  const clock = agenda.clock('rexec');
  let process: SimulatedProcess | undefined;
  const programs = new Programs({
    prog: (own) => {
      process = own;
    },
  });
  const sent: Message[] = [];
  const welcome = {
    name: 'rexec',
    uuid: 'u',
    rank: 0,
    size: 1,
    owner: 0,
    args: [],
    config: {},
    attribute: () => undefined,
  };
  const world = {
    clock,
    random: new SeededRandom(1),
    rusage: () => ({}) as never,
    spawn: programs.spawn(clock),
    spawnSoon: programs.spawnSoon(clock),
  };
  const host = new ModuleHost(welcome, world, (message) => sent.push(message));
  let open!: (uri: string) => void;
  const uri = new Promise<string>((resolve) => {
    open = resolve;
  });
  const thread = { slowReaders: new SlowReaders(), spawnTurn: async () => {} };
  await host.start(rexecModule(() => ({ environment: async () => ({}), localUri: () => uri, thread })));
  return {
    programs,
    /** Sends a request of one client. */
    send(topic: string, payload: object, matchtag: number, flags = 0) {
      const request = Message.request({
        topic: `rexec.${topic}`,
        payload: { ...payload },
        matchtag,
        flags,
        credentials: owner,
      });
      request.routes.push('client');
      host.receive(request);
    },
    /** Lets the programs start that wait for it. */
    async open() {
      open('local:///it');
      await settled();
      while (agenda.step());
    },
    get process() {
      return process;
    },
    answers: () =>
      sent.filter(({ type }) => type === MessageType.response).map((answer) => answer.errnum || answer.json),
  };
}

const run = (more = {}) => ({ cmd: { cmdline: ['prog'], env: {}, opts: {}, channels: [], ...more }, flags: 3 });
const input = { matchtag: 1, io: { stream: 'stdin', rank: '0', data: 'early' } };

test('input that comes in that time reaches the program', async () => {
  const rexec = await start();
  rexec.send('exec', run(), 1, Flag.streaming);
  rexec.send('write', input, 0, Flag.noresponse);
  await settled();
  assert.equal(rexec.process, undefined);
  await rexec.open();
  assert.equal(rexec.process!.input(), 'early');
});

test('a client that goes in that time starts no program, but for one in the background', async () => {
  const rexec = await start();
  rexec.send('exec', run({ label: 'one' }), 1, Flag.streaming);
  rexec.send('exec', run({ label: 'two' }), 2);
  rexec.send('disconnect', {}, 0, Flag.noresponse);
  rexec.send('exec', run({ label: 'three' }), 3, Flag.streaming);
  await rexec.open();
  rexec.send('list', {}, 4);
  const { procs } = rexec.answers().at(-1) as { procs: { label: string }[] };
  assert.deepEqual(
    procs.map(({ label }) => label),
    ['two', 'three'],
  );
  assert.equal(rexec.programs.running.length, 2);
});
