// From wishes to an instance that can be started: what becomes of them, what is refused, what is left in folders.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { parseJson } from '../../../core/json.ts';
import { brokerUuid, socketPath } from '../../../core/node/instance.ts';
import { discardFolders, type Prepared, prepare, type StartOptions } from '../../../core/node/prepare.ts';
import { throwsCode } from '../../errors.ts';

const tmp = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-prepare-'));
after(() => fs.rmSync(tmp, { recursive: true }));
const environment = { TMPDIR: tmp, SHELL: '/bin/shell', HOME: '/home/me' };

/** What `prepare` makes of options; the folders are removed after a look at them. */
function prepared<T>(options: StartOptions, look: (made: Prepared) => T): T {
  const made = prepare({ environment, ...options });
  try {
    return look(made);
  } finally {
    for (const folder of made.folders) fs.rmSync(folder.path, { recursive: true, force: true });
  }
}

const attribute = (made: Prepared, name: string) => new Map(made.instance.attributes).get(name);

test('without wishes it is one rank that runs until it is stopped', () =>
  prepared({}, (made) => {
    const { instance, plan } = made;
    assert.deepEqual(
      [instance.size, instance.topology, instance.initialProgram, instance.startsAll, instance.configPath],
      [1, 'kary:32', undefined, true, undefined],
    );
    assert.deepEqual(instance.hostnames, [os.hostname()]);
    assert.equal(instance.owner, os.userInfo().uid);
    assert.deepEqual([instance.rc1, instance.rc3], ['flux modprobe rc1', 'flux modprobe rc3']);
    assert.equal(attribute(made, 'broker.boot-method'), 'single');
    assert.equal(plan.threadOfRank.length, 1);
    assert.deepEqual(instance.environment, environment);
  }));

test('what crosses to threads is plain data', () =>
  prepared({ size: 3, config: { x: { y: 2 } }, command: ['true'] }, ({ instance, plan }) => {
    assert.deepEqual(structuredClone(instance), instance);
    assert.deepEqual(structuredClone(plan), plan);
    assert.deepEqual(parseJson(instance.config), { x: { y: 2 } });
  }));

test('wishes become facts', () =>
  prepared(
    {
      size: 4,
      config: { tbon: { topo: 'kary:1' } },
      configPath: '/etc/flux',
      hosts: 'n[1-4]',
      bootMethod: 'pmi',
      leaderOnly: true,
      attributes: {
        'broker.rc1_path': '',
        'broker.rc3_path': 'x',
        'content.backing-module': 'y',
        'broker.quorum': '2',
      },
    },
    (made) => {
      const { instance } = made;
      assert.equal(instance.topology, 'kary:1');
      assert.deepEqual(instance.hostnames, ['n1', 'n2', 'n3', 'n4']);
      assert.deepEqual([instance.rc1, instance.rc3, instance.startsAll], ['', 'x', false]);
      assert.deepEqual(
        ['broker.boot-method', 'config.path', 'hostlist', 'tbon.maxlevel', 'broker.quorum'].map((name) =>
          attribute(made, name),
        ),
        ['pmi', '/etc/flux', 'n[1-4]', '3', '2'],
      );
      assert.deepEqual(new Map(instance.leaderAttributes).get('content.backing-module'), 'y');
    },
  ));

test('the attribute hostname is the name of all ranks', () =>
  prepared({ size: 2, attributes: { hostname: 'fake' } }, ({ instance }) =>
    assert.deepEqual(instance.hostnames, ['fake', 'fake']),
  ));

test('a custom tree has the hosts of the configuration', () =>
  prepared(
    {
      size: 3,
      attributes: { 'tbon.topo': 'custom' },
      config: { bootstrap: { hosts: [{ host: 'a' }, { host: 'b', parent: 'c' }, { host: 'c' }] } },
    },
    (made) => {
      assert.deepEqual(made.instance.customHosts, [{ host: 'a' }, { host: 'b', parent: 'c' }, { host: 'c' }]);
      assert.equal(attribute(made, 'tbon.maxlevel'), '2');
    },
  ));

test('programs do not see what speaks of an enclosing instance', () => {
  const enclosing = { FLUX_URI: 'x', FLUX_KVS_NAMESPACE: 'x', FLUX_PROXY_REMOTE: 'x', FLUX_JOB_ID_PATH: 'x' };
  prepared({ environment: { ...environment, ...enclosing, FLUX_OTHER: '1', NONE: undefined } }, ({ instance }) =>
    assert.deepEqual(instance.environment, { ...environment, FLUX_OTHER: '1' }),
  );
});

test('the initial program is a shell for one word, unless rc2_none is set', () => {
  prepared({ command: ['a | b'] }, ({ instance }) =>
    assert.deepEqual(instance.initialProgram?.argv, ['/bin/shell', '-c', 'a | b']),
  );
  prepared({ command: ['a', 'b'], attributes: { 'broker.rc2_none': '1' } }, ({ instance }) =>
    assert.equal(instance.initialProgram, undefined),
  );
  prepared({ command: ['a', 'b'], attributes: { 'broker.rc2_pgrp': '1' } }, ({ instance }) =>
    assert.equal(instance.initialProgram?.sameGroup, false),
  );
});

test('run and state directory are there, in TMPDIR or where they are wished, for the owner alone', () => {
  const rundir = path.join(tmp, 'wished');
  prepared({ attributes: { rundir } }, (made) => {
    const [run, state] = made.folders;
    assert.equal(run!.path, rundir);
    assert.equal(path.dirname(state!.path), tmp);
    for (const folder of made.folders) assert.equal(fs.statSync(folder.path).mode & 0o777, 0o700);
    assert.equal(made.instance.rundir, rundir);
    assert.equal(attribute(made, 'rundir'), rundir);
    const leader = new Map(made.instance.leaderAttributes);
    assert.deepEqual([leader.get('statedir'), leader.get('statedir-cleanup')], [state!.path, '1']);
  });
});

test('an empty TMPDIR is none', () =>
  prepared({ environment: { TMPDIR: '' } }, ({ folders }) =>
    assert.deepEqual(
      folders.map((folder) => path.dirname(folder.path)),
      ['/tmp', '/var/tmp'],
    ),
  ));

test("a run directory that the caller removes is not the broker's to remove", () =>
  prepared({ rundirIsCallers: true }, (made) => assert.equal(attribute(made, 'rundir-cleanup'), '0')));

for (const [what, options, code, text] of [
  ['no rank', { size: 0 }, 'EINVAL', /^0 is no size of an instance$/],
  ['half a rank', { size: 1.5 }, 'EINVAL', /1\.5 is no size/],
  ['too many ranks', { size: 2 ** 20 + 1 }, 'EINVAL', /is no size/],
  ['an unknown attribute', { attributes: { nosuch: '1' } }, 'ENOENT', /^nosuch: unknown attribute$/],
  ['an attribute that says something', { attributes: { size: '4' } }, 'EINVAL', /^size: /],
  ['a quorum of more', { size: 2, attributes: { 'broker.quorum': '3' } }, 'EINVAL', /broker\.quorum/],
  ['a timeout that is none', { attributes: { 'broker.cleanup-timeout': 'x' } }, 'EINVAL', /broker\.cleanup-timeout/],
  ['a log level that is none', { attributes: { 'log-stderr-level': '8' } }, 'EINVAL', /^log-stderr-level: /],
  ['a tree that is none', { attributes: { 'tbon.topo': 'ring' } }, 'EINVAL', /unknown topology scheme 'ring'/],
  ['a wrong [engine]', { config: { engine: { routers: 0 } } }, 'EINVAL', /\[engine\]/],
  ['other hosts', { size: 3, hosts: 'a,b' }, 'EINVAL', /^a,b names 2 hosts for 3 ranks$/],
  ['hosts that are none', { size: 1, hosts: 'a[' }, 'EINVAL', /./],
  ['a map of other ranks', { size: 3, mapping: '[[0,1,2,1]]' }, 'EINVAL', /places 2 ranks, not 3/],
  ['a long run directory', { attributes: { rundir: path.join(tmp, 'x'.repeat(99)) } }, 'ENAMETOOLONG', /^rundir: /],
  ['a run directory nowhere', { attributes: { rundir: path.join(tmp, 'a', 'b') } }, 'ENOENT', /^rundir: /],
  ['a state directory nowhere', { attributes: { statedir: path.join(tmp, 'a', 'b') } }, 'ENOENT', /^statedir: /],
] as const) {
  test(`refused, without leaving a folder: ${what}`, () => {
    throwsCode(() => prepare({ environment, ...(options as StartOptions) }), code, text);
    assert.deepEqual(fs.readdirSync(tmp), []);
  });
}

test('a folder that was there before is left when the instance cannot be started', () => {
  const rundir = path.join(tmp, 'mine');
  fs.mkdirSync(rundir, { mode: 0o700 });
  fs.writeFileSync(path.join(rundir, 'file'), '');
  const statedir = path.join(tmp, 'a', 'b');
  throwsCode(() => prepare({ environment, attributes: { rundir, statedir, 'rundir-cleanup': '1' } }), 'ENOENT');
  assert.deepEqual(fs.readdirSync(rundir), ['file']);
  fs.rmSync(rundir, { recursive: true });
});

test('discarded are the folders that were made', () => {
  const rundir = path.join(tmp, 'kept');
  fs.mkdirSync(rundir, { mode: 0o700 });
  const { folders } = prepare({ environment, attributes: { rundir, 'rundir-cleanup': '1' } });
  discardFolders(folders);
  assert.deepEqual(fs.readdirSync(tmp), ['kept']);
  fs.rmSync(rundir, { recursive: true });
});

test('the name of a broker follows from the instance and the rank alone', () => {
  assert.equal(brokerUuid('x', 3), brokerUuid('x', 3));
  assert.match(brokerUuid('x', 3), /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/);
  const all = ['x', 'y'].flatMap((id) => Array.from({ length: 100 }, (_, rank) => brokerUuid(id, rank)));
  assert.equal(new Set(all).size, 200);
  assert.equal(socketPath('/run/it', 3), '/run/it/local-3');
});
