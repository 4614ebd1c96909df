// flux ping and flux event on a real instance of three ranks in a chain, hosts h0 to h2: what is asked, what is shown,
// and that wrong input ends in one sentence.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Instance, startInstance } from './instance.ts';
import { checkRows } from './rows.ts';

let instance: Instance;
before(async () => {
  instance = await startInstance(3, ['--test-hosts=h[0-2]', '-Stbon.topo=kary:1']);
});
after(() => instance.stop());

/** Lines of `flux ping`: a title, and an answer for each sequence number. */
function answers(title: string, who: string, count = 1, details = 'pad=0'): RegExp {
  const route = '[0-9a-f]{8}(![0-9a-f]{8})+';
  const lines = Array.from(
    { length: count },
    (_, seq) => `${who} ${details} seq=${seq} time=\\d+\\.\\d{3} ms \\(${route}\\)\n`,
  );
  return new RegExp(`^flux-ping ${title.replace(/[()]/g, '\\$&')}\n${lines.join('')}$`);
}

test('ping finds its target and shows each answer', () =>
  checkRows(instance, [
    { args: ['ping', '-c1', 'broker'], stdout: answers('any!broker', '0!broker.ping') },
    { args: ['ping', '-c1', '2'], stdout: answers('2!broker', '2!broker.ping') },
    { args: ['ping', '-c1', 'h1'], stdout: answers('h1!broker (rank 1)', '1!broker.ping') },
    { args: ['ping', '-c1', 'h2!overlay'], stdout: answers('h2!overlay (rank 2)', '2!overlay.ping') },
    { args: ['ping', '-c1', '1!overlay'], stdout: answers('1!overlay', '1!overlay.ping') },
    { args: ['ping', '-c1', '--rank=2', 'overlay'], stdout: answers('2!overlay', '2!overlay.ping') },
    { args: ['ping', '-c1', '--rank=any', 'overlay'], stdout: answers('any!overlay', '0!overlay.ping') },
    { args: ['ping', '-c3', '-i', '10ms', '0'], stdout: answers('0!broker', '0!broker.ping', 3) },
    { args: ['ping', '-c3', '-i0', '-b', '0'], stdout: answers('0!broker', '0!broker.ping', 3) },
    { args: ['ping', '-c1', '--pad=1.5K', '2'], stdout: answers('2!broker', '2!broker.ping', 1, 'pad=1536') },
    { args: ['ping', '-c1', '--pad=0x10', '2'], stdout: answers('2!broker', '2!broker.ping', 1, 'pad=16') },
    {
      args: ['ping', '-c1', '-u', '0'],
      stdout: answers('0!broker', '0!broker.ping', 1, `pad=0 userid=${process.getuid!()} rolemask=0x5`),
    },
    {
      args: ['ping', '-c1', '-u', '0'],
      options: { env: { FLUX_HANDLE_USERID: '9999', FLUX_HANDLE_ROLEMASK: '2' } },
      stdout: answers('0!broker', '0!broker.ping', 1, 'pad=0 userid=9999 rolemask=0x2'),
    },
  ]));

test('ping says what is wrong', () =>
  checkRows(instance, [
    {
      args: ['ping', '-c1', '9'],
      stdout: 'flux-ping 9!broker\n',
      stderr: /^flux-ping: 9!broker\.ping: No route to host$/m,
      exit: 1,
    },
    { args: ['ping', 'upstream'], stdout: 'flux-ping upstream!broker\n', stderr: /No route to host/, exit: 1 },
    {
      args: ['ping', '-i0', 'nosuch'],
      stdout: 'flux-ping any!nosuch\n',
      stderr: /^flux-ping: nosuch\.ping: /,
      exit: 1,
    },
    {
      args: ['ping', '-b', '-c4', '-i5ms', 'nosuch'],
      stdout: /^flux-ping any!nosuch\n$/,
      stderr: /nosuch\.ping/,
      exit: 1,
    },
    { args: ['ping', 'nohost!broker'], stderr: /neither a rank nor a host/, exit: 1 },
    { args: ['ping', '-r1', '1!broker'], stderr: /given twice/, exit: 1 },
    { args: ['ping', '-b', '0'], stderr: /--count/, exit: 1 },
    { args: ['ping', '-c', 'x', '0'], stderr: /'x' is not a count/, exit: 1 },
    { args: ['ping', '-i', '-1', '0'], stderr: /invalid Flux standard duration/, exit: 1 },
    { args: ['ping', '-p', '1q', '0'], stderr: /'1q' is not a size/, exit: 1 },
    { args: ['ping'], stderr: /missing required argument/, exit: 1 },
    { args: ['ping', '0'], options: { env: { FLUX_URI: 'local:///nowhere' } }, stderr: /cannot connect/, exit: 1 },
  ]));

test('ping ends when nobody reads what it shows', async () => {
  const { stdout } = await instance.shell('flux ping -i 1ms 0 | head -n 2 | wc -l; echo $PIPESTATUS');
  assert.equal(stdout, '2\n141\n');
});

test('event pub publishes', () =>
  checkRows(instance, [
    { args: ['event', 'pub', 'a.b'] },
    { args: ['event', 'pub', '--synchronous', 'a.b', '{}'], stdout: /^seq=\d+\n$/ },
    { args: ['event', 'pub', '-l', 'a.b', '{"a":', '1}'] },
    { args: ['event', 'pub', '-l', '-r', 'a.b', 'raw'] },
    { args: ['event', 'pub', '-l', '-p', 'a.b', '{}'] },
    { args: ['event', 'pub'], stderr: /missing required argument 'topic'/, exit: 1 },
    { args: ['event', 'pub', '--nope', 'x'], stderr: /unknown option '--nope'/, exit: 1 },
    { args: ['event', 'nope'], stderr: /there is no command 'nope'/, exit: 1 },
    { args: ['event'], stderr: /Usage: flux event/, exit: 1 },
    { args: ['event', '--help'], stdout: /^Usage: flux event .*\n {2}pub .*\n {2}sub /s },
    { args: ['event', 'sub', '-c', '-1'], stderr: /is not a count/, exit: 1 },
  ]));

/** What `flux event sub TOPICS` shows of the events published, each given as the words behind `flux event pub`. */
async function subscribed(topics: readonly string[], events: readonly (readonly string[])[]): Promise<string> {
  let shown = '';
  const until = (stdout: string) => {
    shown = stdout;
    return /^end\t/m.test(stdout);
  };
  const ended = instance.flux(['event', 'sub', 'ready', 'end', ...topics], { until });
  // It tells nobody that its subscriptions are there: they are when the first of these shows.
  for (let tries = 0; tries < 100 && !shown; tries++) await instance.flux(['event', 'pub', 'ready']);
  for (const words of [...events, ['end']]) await instance.flux(['event', 'pub', ...words]);
  return (await ended).stdout.replace(/^(ready|end)\t\n/gm, '');
}

test('event sub shows what begins with its topics, once and in order', async () => {
  const events = [['foo.b'], ['fo.o'], ['bar', '{"x":2}'], ['-r', 'foo.c', 'a\tb'], ['foo.d', '"é"'], ['barfoo.']];
  assert.equal(await subscribed(['foo.', 'foo.b', 'bar '], events), 'foo.b\t\nfoo.c\ta.b\nfoo.d\t"é"\n');
  assert.equal(await subscribed(['bar', 'fo'], events.slice(0, 3)), 'foo.b\t\nfo.o\t\nbar\t{"x":2}\n');
});

test('event sub ends after as many events as it should', async () => {
  const ended = instance.flux(['event', 'sub', '-c2', 'tick']);
  let isOver = false;
  void ended.then(() => {
    isOver = true;
  });
  for (let tries = 0; tries < 100 && !isOver; tries++) await instance.flux(['event', 'pub', 'tick']);
  assert.deepEqual(await ended, { stdout: 'tick\t\ntick\t\n', stderr: '', exit: 0 });
});
