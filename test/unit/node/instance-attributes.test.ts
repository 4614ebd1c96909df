// What the attributes of an instance are when it starts: facts, wishes of the command line and the configuration, defaults.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type AttributeFacts,
  checkSetAttributes,
  sharedAttributes,
  topologyUri,
} from '../../../core/node/instance-attributes.ts';
import { Topology } from '../../../core/overlay/topology.ts';
import { throwsCode } from '../../errors.ts';

const facts: AttributeFacts = {
  size: 5,
  owner: 100,
  topology: Topology.create('kary:2', 5),
  topologyUri: 'kary:2',
  hostnames: ['n1', 'n2', 'n3', 'n3', 'x'],
  bootMethod: 'simple',
  mapping: undefined,
  rundir: '/run/it',
  rundirCleanup: true,
  configPath: undefined,
  startTime: 1234.5678,
  config: {},
};

function attributes(more: Partial<AttributeFacts> = {}, set: Readonly<Record<string, string>> = {}) {
  const list = sharedAttributes({ ...facts, ...more }, new Map(Object.entries(set)));
  const map = new Map(list);
  assert.equal(map.size, list.length, 'an attribute is there twice');
  return map;
}

test('facts of the instance become attributes', () => {
  const all = attributes();
  const expected = {
    size: '5',
    'security.owner': '100',
    hostlist: 'n[1-3,3],x',
    rundir: '/run/it',
    'rundir-cleanup': '1',
    'broker.boot-method': 'simple',
    'broker.critical-ranks': '0-1',
    'broker.mapping': '[[0,1,5,1]]',
    'broker.quorum': '5',
    'broker.starttime': '1234.57',
    'tbon.maxlevel': '2',
    'tbon.topo': 'kary:2',
    'tbon.torpid_max': '30s',
    'parent-uri': null,
    'instance-level': '0',
    'broker.cleanup-timeout': 'none',
    'log-ring-size': '1024',
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(all.get(name), value, name);
  assert.ok(!all.has('config.path'));
  assert.equal(attributes({ configPath: '/etc/flux' }).get('config.path'), '/etc/flux');
  assert.equal(attributes({ rundirCleanup: false }).get('rundir-cleanup'), '0');
});

test('the command line comes before the configuration, and that before the defaults', () => {
  const config = { tbon: { topo: 'kary:7', torpid_max: '1m', zmq_io_threads: 4 } };
  const all = attributes(
    { config, topologyUri: 'kary:7' },
    { 'tbon.torpid_max': '2m', 'broker.quorum': '3', 'log-stderr-level': '5' },
  );
  assert.deepEqual(
    ['tbon.topo', 'tbon.torpid_max', 'tbon.zmq_io_threads', 'tbon.torpid_min', 'broker.quorum', 'log-stderr-level'].map(
      (name) => all.get(name),
    ),
    ['kary:7', '2m', '4', '5s', '3', '5'],
  );
});

test('attributes of rank 0 or of one rank are not shared, and the wish for a run directory is not the fact', () => {
  const own = { statedir: '/s', 'statedir-cleanup': '1', hostname: 'h', 'content.backing-module': 'x' };
  const all = attributes({}, { ...own, rundir: '/wished', 'rundir-cleanup': '0' });
  for (const name of Object.keys(own)) assert.ok(!all.has(name), name);
  assert.equal(all.get('rundir'), '/run/it');
});

for (const [mapping, expected] of [
  [undefined, '[[0,1,5,1]]'],
  [null, null],
  ['[[0,5,1,1]]', '[[0,5,1,1]]'],
  ['(vector,(0,5,1))', '[[0,5,1,1]]'],
] as const) {
  test(`the map ${mapping} becomes ${expected}`, () =>
    assert.equal(attributes({ mapping }).get('broker.mapping'), expected));
}

for (const mapping of ['[[0,4,1,1]]', '[[0,6,1,1]]', 'nonsense'])
  test(`a map of other ranks is refused: ${mapping}`, () => throwsCode(() => attributes({ mapping }), 'EINVAL'));

test('the tree is that of the command line, or of the configuration', () => {
  const config = { tbon: { topo: 'binomial' } };
  assert.equal(topologyUri(new Map([['tbon.topo', 'kary:3']]), config), 'kary:3');
  assert.equal(topologyUri(new Map(), config), 'binomial');
  assert.equal(topologyUri(new Map(), {}), undefined);
});

test('the time to look for another parent is told where ranks may look for one', () => {
  const told = (set: Record<string, string>) => attributes({}, set).get('tbon.rewire_timeout');
  const rewire = { 'tbon.policy': 'rewire' };
  assert.equal(told(rewire), '5s');
  assert.equal(told({ ...rewire, 'tbon.rewire_timeout': '1m' }), '1m');
  assert.equal(told({}), undefined);
  throwsCode(() => told({ 'tbon.policy': 'perhaps' }), 'EINVAL', /'perhaps' is none of restart, rewire/);
  throwsCode(() => told({ 'tbon.rewire_timeout': 'soon' }), 'EINVAL', /^tbon\.rewire_timeout: /);
});

for (const [name, code] of [
  ['size', 'EINVAL'],
  ['rank', 'EINVAL'],
  ['version', 'EINVAL'],
  ['nosuch', 'ENOENT'],
  ['tbon.maxlevel', 'EINVAL'],
] as const) {
  test(`${name} is not given on the command line`, () =>
    throwsCode(() => checkSetAttributes(['tbon.topo', name]), code, new RegExp(`^${name}: `)));
}

test('what may be given on the command line is let pass', () =>
  checkSetAttributes(['rundir', 'statedir', 'broker.quorum', 'log-stderr-mode', 'vendor.anything', 'hostname']));
