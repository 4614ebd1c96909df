// flux config on a real instance of two ranks: values of every type are shown, set, removed and loaded, and what does not
// fit is refused and changes nothing.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { pmiLibraryPath } from '../../native/index.ts';
import { type Instance, startInstance } from './instance.ts';
import { checkRows, type Row } from './rows.ts';

const toml = `[foo]
a = 42
b = "meep"
c = "50s"
d = 3.5
e = false
f = ["fubar", "barfu"]
g = 2.0
big = 9007199254740993
[foo.bar]
a = true
`;

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-config-test-'));
const file = path.join(folder, 'foo.toml');
let instance: Instance;
before(async () => {
  fs.writeFileSync(file, toml);
  instance = await startInstance(2, [`--config-path=${folder}`]);
});
after(async () => {
  await instance.stop();
  fs.rmSync(folder, { recursive: true });
});

const get = (...args: string[]) => ['config', 'get', ...args];
const set = (...args: string[]) => ['config', 'set', ...args];

test('values show', () =>
  checkRows(instance, [
    { args: get(), stdout: /^\{"foo":\{"a":42,"b":"meep",.*\}\}\n$/ },
    { args: get('foo.bar.a'), stdout: 'true\n' },
    { args: get('foo.b'), stdout: 'meep\n' },
    { args: get('--type=real', 'foo.g'), stdout: '2.0\n' },
    { args: get('--type=fsd-integer', 'foo.c'), stdout: '50\n' },
    { args: get('--type=string', 'foo.a'), stderr: /foo\.a is not of type string/, exit: 1 },
    { args: get('--type=bogus', 'foo.a'), stderr: /Allowed choices are any, /, exit: 1 },
    { args: get('--config-path', file, 'foo.b'), stdout: 'meep\n' },
    { args: get('--config-path', folder, 'foo.b'), stdout: 'meep\n' },
    { args: get('-c', '/nonexistent'), stderr: /error: \/nonexistent: No such file or directory$/m, exit: 1 },
    { args: ['config', 'builtin', 'rc1_path'], stdout: 'flux modprobe rc1\n' },
    { args: ['config', 'builtin', 'datadir'], stdout: /\/share\/flux\n$/ },
    { args: ['config', 'builtin', '--intree', 'python_wrapper'], stdout: /\/libexec\/flux\/cmd\/py-runner\.py\n$/ },
    { args: ['config', 'builtin', 'pmi_library_path'], stdout: `${pmiLibraryPath()}\n` },
    { args: ['config', 'builtin', 'nope'], stderr: /'nope'/, exit: 1 },
    { args: ['config', 'builtin'], stderr: /missing required argument/, exit: 1 },
  ]));

test('what is not set is told, defaulted or kept quiet', () =>
  checkRows(instance, [
    { args: get('foo.nope'), stderr: /foo\.nope is not set/, exit: 1 },
    { args: get('foo.a.b'), stderr: /foo\.a\.b is not set/, exit: 1 },
    { args: get('--quiet', 'foo.nope'), exit: 1 },
    { args: get('--default=x', 'foo.nope'), stdout: 'x\n' },
    { args: get('foo..a'), stderr: /no path of keys/, exit: 1 },
  ]));

test('values are set and removed', () =>
  checkRows(instance, [
    { args: set('foo.a', '43') },
    { args: get('foo.a'), stdout: '43\n' },
    { args: set('foo.a', 'x'), stderr: /'x' is not an integer/, exit: 1 },
    { args: set('foo.new', '1'), stderr: /--type/, exit: 1 },
    { args: set('--type=integer', '--', 'foo.new', '-0x10') },
    { args: set('-t', 'integer', 'new.table.x', '9223372036854775807') },
    { args: set('-t', 'real', 'new.r', '2') },
    { args: get('new'), stdout: '{"table":{"x":9223372036854775807},"r":2.0}\n' },
    { args: set('-t', 'integer', 'foo.a.x', '1'), stderr: /'a' is no table/, exit: 1 },
    { args: ['config', 'unset', 'new.table'] },
    { args: get('new'), stdout: '{"r":2.0}\n' },
    { args: get('foo.new'), stdout: '-16\n' },
    { args: ['config', 'unset', 'no.such'] },
    { args: ['config', 'unset', 'foo..a'], stderr: /no path of keys/, exit: 1 },
    { args: set('-t', 'string', 'tbon.torpid_max', 'never'), stderr: /torpid_max/, exit: 1 },
    { args: get('tbon'), stderr: /not set/, exit: 1 },
  ]));

test('whole configurations are loaded', () => {
  const load = (stdin: string): Row => ({ args: ['config', 'load'], options: { stdin } });
  return checkRows(instance, [
    load('{"x":{"y":1}}'),
    { args: get(), stdout: '{"x":{"y":1}}\n' },
    load('[z]\na = "b"\n'),
    { args: get(), stdout: '{"z":{"a":"b"}}\n' },
    { ...load('z = '), stderr: /standard input:1: /, exit: 1 },
    { ...load('[1]'), stderr: /standard input is JSON, but no object/, exit: 1 },
    { args: ['config', 'load', '/nonexistent'], stderr: /nonexistent/, exit: 1 },
    { args: get(), stdout: '{"z":{"a":"b"}}\n' },
    { args: ['config', 'load', file] },
    { args: get('foo.a'), stdout: '42\n' },
    { args: set('foo.a', '1') },
    { args: ['config', 'reload', '--follower-noop'] },
    { args: get('foo.a'), stdout: '42\n' },
    { args: ['config'], stderr: /Usage: flux config/, exit: 1 },
  ]);
});
