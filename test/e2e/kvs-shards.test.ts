// The KVS on threads of its own: nobody who uses it can tell.

import { after, before, test } from 'node:test';
import { type Instance, startInstance } from './instance.ts';
import { checkRows } from './rows.ts';

let instance: Instance;
before(async () => {
  instance = await startInstance(2, ['--conf=engine.kvs-workers=2']);
});
after(() => instance.stop());

const names = ['n1', 'n2', 'n3', 'n4'];

test('namespaces are made, used, listed and removed wherever they are', () =>
  checkRows(instance, [
    { args: ['kvs', 'namespace', 'create', ...names] },
    { args: ['kvs', 'namespace', 'create', 'n1'], stderr: /File exists|EEXIST|exists/, exit: 1 },
    ...names.flatMap((name) => [
      { args: ['kvs', 'put', '-N', name, `a.b=${name}`] },
      { args: ['kvs', 'get', '-N', name, 'a.b'], stdout: `${name}\n` },
      { args: ['exec', '-r1', '-n', 'flux', 'kvs', 'get', '-N', name, 'a.b'], stdout: `${name}\n` },
    ]),
    { args: ['kvs', 'namespace', 'list'], stdout: /^NAMESPACE.*\n(n\d +0 .*\n){4}primary +0 .*\n$/ },
    ...names.flatMap((name) => [
      { args: ['kvs', 'link', `--target-namespace=${name}`, 'a.b', `link.${name}`] },
      { args: ['kvs', 'get', `link.${name}`], stdout: `${name}\n` },
    ]),
    { args: ['kvs', 'namespace', 'remove', 'n2'] },
    { args: ['kvs', 'get', '-N', 'n2', 'a.b'], stderr: /Operation not supported/, exit: 1 },
    { args: ['kvs', 'get', 'link.n2'], stderr: /Operation not supported/, exit: 1 },
    { args: ['module', 'stats', 'kvs'], stdout: /^\{\n "kvs-0": \{\n(.*\n)* "kvs-1": \{\n/ },
    { args: ['module', 'list'], stdout: /\nkvs .*\nkvs-0 .*\nkvs-1 .*\n/ },
  ]));

test('the KVS is removed and loaded with all its parts', () =>
  checkRows(instance, [
    { args: ['kvs', 'put', '--sync', 'kept=1'] },
    { args: ['module', 'remove', 'kvs-watch'] },
    { args: ['module', 'remove', 'kvs'] },
    { args: ['kvs', 'get', 'kept'], stderr: /No service|Function not implemented/, exit: 1 },
    { args: ['module', 'load', 'kvs'] },
    { args: ['kvs', 'get', 'kept'], stdout: '1\n' },
    { args: ['module', 'load', 'kvs-watch'] },
  ]));
