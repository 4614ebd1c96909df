// Which attributes may be set when, by their class; shared attributes, a rank's own on top, and removed ones.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Attributes, checkCommandLine, redirectOf } from '../../../core/broker/attributes.ts';
import { throwsCode } from '../../errors.ts';

const make = () =>
  new Attributes(
    new Map<string, string | null>([
      ['size', '4'],
      ['parent-uri', null],
      ['conf.shell_initrc', 'a'],
      ['tbon.topo', 'kary:2'],
      ['hostlist', 'h[0-3]'],
      ['test.shared', 'here'],
    ]),
    [
      ['rank', '2'],
      ['hostname', 'h2'],
    ],
  );

/** What `checkUpdate` says of attributes by class: those that are set, without and with force. */
for (const [name, plain, forced] of [
  ['conf.shell_initrc', undefined, undefined],
  ['test.shared', undefined, undefined],
  ['tbon.topo', 'EINVAL', undefined],
  ['hostlist', 'EINVAL', 'EPERM'],
  ['rank', 'EINVAL', 'EPERM'],
  ['hostname', 'EINVAL', 'EPERM'],
] as const) {
  for (const [force, code] of [
    [false, plain],
    [true, forced],
  ] as const) {
    test(`an update of ${name}${force ? ' by force' : ''} ${code ? `is refused with ${code}` : 'is allowed'}`, () => {
      const update = () => make().checkUpdate(name, force);
      if (code) throwsCode(update, code, code === 'EINVAL' ? /^attribute may not be updated$/ : /is immutable/);
      else update();
    });
  }
}

test('an attribute that nobody knows cannot be updated, not even by force', () => {
  for (const name of ['nosuch', 'nosuch.thing', 'testing.x', 'tbon.nosuch', 'test', '', 'constructor', '__proto__'])
    for (const force of [false, true])
      throwsCode(() => make().checkUpdate(name, force), 'ENOENT', /^unknown attribute$/);
});

test('an attribute that is known and not set may be set whatever its class', () => {
  for (const name of ['jobid', 'content.hash', 'broker.rc1_path', 'test-im.x', 'vendor.x', 'test.new'])
    make().checkUpdate(name, false);
});

test('families are known by what stands before their first dot', () => {
  const attributes = make();
  for (const [name, code] of [
    ['test.a.b', undefined],
    ['test-nr.a', 'EINVAL'],
    ['test-im.a', 'EINVAL'],
    ['test-ro.a', 'EINVAL'],
    ['vendor.a.b', 'EPERM'],
  ] as const) {
    attributes.put(name, 'x');
    if (code) throwsCode(() => attributes.checkUpdate(name, false), code, /./);
    else attributes.checkUpdate(name, false);
  }
});

for (const [name, code] of [
  ['rundir', undefined],
  ['tbon.topo', undefined],
  ['hostlist', undefined],
  ['test.x', undefined],
  ['test-im.x', undefined],
  ['vendor.x', undefined],
  ['rank', 'EINVAL'],
  ['size', 'EINVAL'],
  ['version', 'EINVAL'],
  ['broker.pid', 'EINVAL'],
  ['test-ro.x', 'EINVAL'],
  ['nosuch', 'ENOENT'],
  ['toString', 'ENOENT'],
] as const) {
  test(`on the command line ${name} ${code ? `is refused with ${code}` : 'is allowed'}`, () => {
    if (code) throwsCode(() => checkCommandLine(name), code, /attribute/);
    else checkCommandLine(name);
  });
}

test('updates of some attributes are decided elsewhere', () => {
  assert.equal(redirectOf('log-stderr-level'), 'log.setattr');
  assert.equal(redirectOf('test-rd.x'), 'testrd.setattr');
  assert.equal(redirectOf('log-level'), undefined);
  assert.equal(redirectOf('test.x'), undefined);
});

test("a rank's own value hides the shared one, and removing it shows neither", () => {
  const attributes = make();
  attributes.put('test.shared', 'own');
  assert.equal(attributes.get('test.shared'), 'own');
  attributes.remove('test.shared');
  assert.equal(attributes.get('test.shared'), undefined);
  assert.equal(attributes.has('test.shared'), false);
  assert.ok(!attributes.names().includes('test.shared'));
  attributes.put('test.shared', 'again');
  assert.equal(attributes.get('test.shared'), 'again');
});

test('a shared attribute that one rank removes stays with the others', () => {
  const shared = new Map([['test.x', '1']]);
  const [one, other] = [new Attributes(shared, []), new Attributes(shared, [])];
  one.remove('test.x');
  assert.equal(one.has('test.x'), false);
  assert.equal(other.get('test.x'), '1');
});

test('an attribute without a value is there and has none', () => {
  const attributes = make();
  assert.equal(attributes.has('parent-uri'), true);
  assert.equal(attributes.get('parent-uri'), undefined);
  assert.ok(attributes.names().includes('parent-uri'));
  attributes.put('jobid', null);
  assert.equal(attributes.has('jobid'), true);
  assert.equal(attributes.get('jobid'), undefined);
});

test('each name is listed once', () => {
  const attributes = make();
  attributes.put('size', '5');
  assert.deepEqual(attributes.names().toSorted(), [
    'conf.shell_initrc',
    'hostlist',
    'hostname',
    'parent-uri',
    'rank',
    'size',
    'tbon.topo',
    'test.shared',
  ]);
});

test('immutable attributes cannot be removed; what is not set, or not known, can', () => {
  const attributes = make();
  throwsCode(() => attributes.remove('size'), 'EPERM', /immutable/);
  throwsCode(() => attributes.remove('rank'), 'EPERM', /immutable/);
  attributes.remove('jobid');
  attributes.remove('nosuch');
  attributes.remove('tbon.topo');
  assert.equal(attributes.has('tbon.topo'), false);
});
