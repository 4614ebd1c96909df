// flux overlay on a real instance of seven ranks in a binary tree, hosts h0 to h6:
//
//        0
//      1   2
//     3 4 5 6
//
// first whole, then with the subtree of rank 2 cut off.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Instance, startInstance } from './instance.ts';
import { checkRows } from './rows.ts';

let instance: Instance;
before(async () => {
  instance = await startInstance(7, ['--test-hosts=h[0-6]', '-Stbon.topo=kary:2', '-Slog-stderr-level=0']);
  await instance.flux(['overlay', 'status', '--wait=full', '--timeout=10s']);
});
after(() => instance.stop());

const overlay = (...args: string[]) => ['overlay', ...args];
const status = (...args: string[]) => overlay('status', ...args);

test('status draws the tree', () =>
  checkRows(instance, [
    {
      args: status(),
      stdout: `\
0 h0: full
├─ 1 h1: full
│  ├─ 3 h3: full
│  └─ 4 h4: full
└─ 2 h2: full
   ├─ 5 h5: full
   └─ 6 h6: full
`,
    },
    { args: status('--rank=2', '--no-pretty'), stdout: '2 h2: full\n5 h5: full\n6 h6: full\n' },
    { args: status('--rank=1', '-H', 'h4'), stdout: '<<1 h1>>: full\n├─ 3 h3: full\n└─ <<4 h4>>: full\n' },
    {
      args: status('-r1', '-H3-4', '-Lalways'),
      stdout: ['1 h1', '├─ 3 h3', '└─ 4 h4']
        .map((name) => `${name.replace(/\d h\d/, '\x1b[01;34m$&\x1b[0m')}: full\n`)
        .join(''),
    },
    { args: status('--summary'), stdout: 'full\n' },
    { args: status('--down') },
    { args: status('-v', '-r', '6'), stdout: /^6 h6: full for \d\S*s\n$/ },
    { args: status('--verbose=2', '--summary'), stdout: /^full for \S+ \(\d+\.\d{3} ms\)\n$/ },
    {
      args: status('-vv', '-r', '2'),
      stdout: /^2 .* \(\S+ ms\)\n├─ 5 h5: full for \S+ \(\S+ ms\)\n└─ 6 h6: full for \S+ \(\S+ ms\)\n$/,
    },
    { args: status('--wait=full', '--summary'), stdout: 'full\n' },
    { args: status('--wait=lost', '-t', '50ms'), stderr: /rank 0: Connection timed out/, exit: 1 },
    { args: status('--json', '-r6'), stdout: /^\{\n {2}"rank": 6,\n {2}"host": "h6",\n {2}"status": "full",/ },
    { args: status('--wait=bogus'), stderr: /Allowed choices are full, partial/, exit: 1 },
    { args: status('-H', '99'), stderr: /0-6/, exit: 1 },
    { args: status('-H', 'nohost'), stderr: /'nohost' not found/, exit: 1 },
    { args: status('-r', '7'), stderr: /rank 7: No route to host/, exit: 1 },
    { args: status('-t', 'soon'), stderr: /duration/, exit: 1 },
    { args: overlay('errors') },
  ]));

test('ranks and hosts are found', () =>
  checkRows(instance, [
    { args: overlay('lookup', '0-2,6'), stdout: 'h[0-2,6]\n' },
    { args: overlay('lookup', 'h[5-6],h1'), stdout: '1,5-6\n' },
    { args: overlay('lookup', '7'), stderr: /there is no rank 7/, exit: 1 },
    { args: overlay('lookup', 'h[5-7]'), stderr: /'h7' not found/, exit: 1 },
    { args: overlay('parentof', '6'), stdout: '2\n' },
    { args: overlay('parentof', '0'), stderr: /has no parent/, exit: 1 },
    { args: overlay('parentof', '7'), stderr: /no rank 7/, exit: 1 },
    { args: overlay('parentof', 'x'), stderr: /'x' is not a rank/, exit: 1 },
    { args: overlay('parentof'), stderr: /missing required argument/, exit: 1 },
  ]));

test('trace shows messages of a neighbour', async () => {
  const patterns = {
    plain:
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} tx 1 > broker\.ping \[\d+\]\n\S+ rx 1 < broker\.ping \[\d+\] success\n/,
    human: /^\[[A-Z][a-z]{2}\d\d \d\d:\d\d\] {2}tx 1 > broker\.ping \[\d+\]\n\{\n {2}"seq": 0,\n[\s\S]*?\n\}\n\[/,
    error: /^\S+ rx 1 < nosuch\.ping \[0\] ENOSYS\n/,
    json: /^\{"timestamp":\d+\.\d+,"prefix":"tx","rank":1,"name":null,"type":1,"topic":"broker\.ping",.*\}\n/,
  };
  const traces = [
    { args: ['-t', 'request,response', 'broker.ping'], pattern: patterns.plain },
    {
      args: ['--human', '--full', '-t', 'request', '-t', 'response', '--rank=1', 'broker.p*'],
      pattern: patterns.human,
    },
    { args: ['-t', 'response', 'nosuch.*'], pattern: patterns.error },
    { args: ['--json', 'broker.ping'], pattern: patterns.json },
  ].map(async ({ args, pattern }) => {
    const outcome = await instance.flux(overlay('trace', ...args), { until: (stdout) => pattern.test(stdout) });
    assert.match(outcome.stdout, pattern);
    assert.equal(outcome.exit, 'SIGTERM');
  });
  let isOver = false;
  const all = Promise.all(traces).finally(() => {
    isOver = true;
  });
  for (let tries = 0; tries < 50 && !isOver; tries++) {
    await instance.flux(['ping', '-c1', '1']);
    await instance.flux(['ping', '-c1', '1!nosuch']);
  }
  await all;
  await checkRows(instance, [
    { args: overlay('trace', '-t', 'bogus'), stderr: /request, response, event, control/, exit: 1 },
    { args: overlay('trace', '--delta'), stderr: /--human/, exit: 1 },
    { args: overlay('trace', 'a', 'b'), stderr: /too many arguments/, exit: 1 },
  ]);
});

test('a subtree that is cut off shows as lost', () =>
  checkRows(instance, [
    {
      args: overlay('disconnect', '-r', '0', '5'),
      stderr: /asking h0 \(rank 0\)[\s\S]*not this broker's direct child/,
      exit: 1,
    },
    { args: overlay('disconnect', '0'), stderr: /has no parent/, exit: 1 },
    {
      args: overlay('disconnect', '-r', '99', '5'),
      stderr: /^flux-overlay disconnect: this instance has no rank 99$/m,
      exit: 1,
    },
    { args: overlay('disconnect', 'nohost'), stderr: /neither a rank nor a host/, exit: 1 },
    {
      args: overlay('disconnect', 'h2'),
      stderr: /^flux-overlay: asking h0 \(rank 0\) to disconnect child h2 \(rank 2\)\n$/,
    },
    { args: status('--summary', '--wait=degraded', '--timeout=10s'), stdout: 'degraded\n' },
    {
      args: status(),
      stdout: `\
0 h0: degraded
├─ 1 h1: full
│  ├─ 3 h3: full
│  └─ 4 h4: full
└─ 2 h2: lost administrative disconnect
   ├─ 5 h5: lost
   └─ 6 h6: lost
`,
    },
    {
      args: status('--down', '-L'),
      stdout: `\
0 h0: degraded
└─ 2 h2: \x1b[31mlost\x1b[0m administrative disconnect
   ├─ 5 h5: \x1b[90mlost\x1b[0m
   └─ 6 h6: \x1b[90mlost\x1b[0m
`,
    },
    { args: status('--down', '--no-ghost'), stdout: '0 h0: degraded\n└─ 2 h2: lost administrative disconnect\n' },
    { args: overlay('errors'), stdout: 'h2: administrative disconnect\nh[5-6]: lost parent\n' },
    { args: overlay('errors', '--json'), stdout: '{"administrative disconnect":"2","lost parent":"5-6"}\n' },
    { args: ['uptime'], stdout: / size 7, {2}3 offline\n$/ },
  ]));
