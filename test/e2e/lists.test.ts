// flux hostlist and flux idset: how lists are put together and shown. Most need no instance; one of three ranks, hosts h0
// to h2, is the source for the rest.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Instance, startInstance } from './instance.ts';
import { checkRows, type Row } from './rows.ts';

let instance: Instance;
before(async () => {
  instance = await startInstance(3, ['--test-hosts=h[0-2]']);
});
after(() => instance.stop());

const shows = (command: string, args: string, stdout: string, stdin = ''): Row => ({
  args: [command, ...args.split(' ').filter(Boolean)],
  stdout,
  options: { stdin },
});
const refuses = (command: string, args: string, exit: number, stderr: RegExp): Row => ({
  args: [command, ...args.split(' ')],
  stderr,
  exit,
});

test('hostlists are put together', () => {
  const hosts = (args: string, stdout: string, stdin = '') => shows('hostlist', args, stdout, stdin);
  return checkRows(instance, [
    hosts('node[1-3] bar,node2', 'node[1-3],bar,node2\n'),
    hosts('-e node[1-3]', 'node1 node2 node3\n'),
    hosts('-ed\\n node[1-2]', 'node1\nnode2\n'),
    hosts('-c node[1-3] bar,node2', '5\n'),
    hosts('-u node[1-3] bar,node2', 'bar,node[1-3]\n'),
    hosts('--sort node[3,1] bar', 'bar,node[1,3]\n'),
    hosts('-i node[1-3] bar,node2', 'node2\n'),
    hosts('-m node[1-3],node2 node2', 'node[1,3,2]\n'),
    hosts('-X node[1-3] bar,node2', 'bar,node[1,3]\n'),
    hosts('-n 0,2 node[1-3]', 'node[1,3]\n'),
    hosts('-n -1-2 node[1-3]', 'node[2-3]\n'),
    hosts('-L 2 node[1-3]', 'node[1-2]\n'),
    hosts('-L -2 node[1-3]', 'node[2-3]\n'),
    hosts('-L 0 node[1-3]', 'node[1-3]\n'),
    hosts('-x node2 node[1-3],node2', 'node[1,3]\n'),
    hosts('-x 0-1 node[1-3]', 'node3\n'),
    hosts('-x zzz node[1-3]', 'node[1-3]\n'),
    hosts('-F node[2-3] node[1-3]', '1 2\n'),
    hosts('', 'a[1-3]\n', 'a1\na2 a3\n\n'),
    hosts('- b', 'a,b\n', 'a\n'),
    hosts('', '', ''),
    hosts('-q node', ''),
    hosts('instance', 'h[0-2]\n'),
    hosts('-le', 'h0 h1 h2\n'),
    hosts('avail', 'h[0-2]\n'),
    hosts('--minus --fallback instance h1', 'h[0,2]\n'),
    hosts('--fallback f1 f2', 'f[1-2]\n'),
  ]);
});

test('wrong hostlists end in one sentence', async () => {
  const wrong = (args: string, exit: number, stderr: RegExp) => refuses('hostlist', args, exit, stderr);
  const silent = await instance.shell('FLUX_HOSTLIST_STDIN_TIMEOUT=0.1 flux hostlist < <(exec sleep 10 2>&-)');
  assert.match(silent.stderr, /nothing came from standard input/);
  assert.equal(silent.exit, 1);
  // A file is at its end at once; the bound must not keep the command.
  const empty = await instance.shell('FLUX_HOSTLIST_STDIN_TIMEOUT=60 flux hostlist </dev/null', { timeoutMs: 10_000 });
  assert.deepEqual(empty, { stdout: '', stderr: '', exit: 0 });
  await checkRows(instance, [
    { args: ['hostlist', '-q', '-i', 'instance', 'nosuch[0-1]'], exit: 1 },
    wrong('f1', 1, /there is no job f1/),
    wrong('node[1-', 1, /node\[1-/),
    wrong('-n 5 node[1-3]', 1, /nothing at one of the positions 5/),
    wrong('-n zz node', 1, /zz/),
    wrong('-F node9 node[1-3]', 1, /'node9' not found/),
    wrong('-e -c node', 2, /cannot be used with/),
    wrong('-i -m node', 2, /cannot be used with/),
    wrong('-x a[ node', 2, /a\[/),
    wrong('-L x node', 2, /'x' is not an integer/),
    wrong('--nosuch', 2, /unknown option/),
    {
      args: ['hostlist', 'instance'],
      options: { env: { FLUX_URI: 'local:///nowhere' } },
      stderr: /cannot connect/,
      exit: 1,
    },
  ]);
});

test('idsets are put together', () => {
  const ids = (args: string, stdout: string, stdin = '') => shows('idset', args, stdout, stdin);
  const wrong = (args: string, exit: number, stderr: RegExp) => refuses('idset', args, exit, stderr);
  return checkRows(instance, [
    ids('0-3 2,7', '0-3,7\n'),
    ids('-e 0-3', '0 1 2 3\n'),
    ids('-ed, 1-3', '1,2,3\n'),
    ids('-c 0-3 2-9', '10\n'),
    ids('-c 0-2147483646', '2147483647\n'),
    ids('-i 0-3 2-9', '2-3\n'),
    ids('-m 0-9 3,5', '0-2,4,6-9\n'),
    ids('-X 0-3 2-5', '0-1,4-5\n'),
    ids('-b 5', '5\n'),
    ids('-b 5,6', '[5-6]\n'),
    ids('-x 4 3-9', '3,5-9\n'),
    ids('-n -1 3-9', '9\n'),
    ids('-L -2 3-9', '8-9\n'),
    ids('', '1-3\n', '1\n2\n3\n'),
    ids('--contains 3 0-4', ''),
    { args: ['idset', '--contains', '9', '0-4'], exit: 1 },
    { args: ['idset', '-q', '-i', '0-1', '2'], exit: 1 },
    wrong('3-1', 1, /error parsing range '3-1'/),
    wrong('-x zz 3', 2, /error parsing range 'zz'/),
  ]);
});
