// A rank's environment is that of its process, but for what was changed on that rank.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Environment } from '../../../core/broker/environment.ts';

const base = { HOME: '/root', PATH: '/bin', EMPTY: '', MISSING: undefined };

test('unchanged, it is that of the process', () => {
  const environment = new Environment(base);
  assert.deepEqual(environment.all(), { HOME: '/root', PATH: '/bin', EMPTY: '' });
  assert.equal(environment.get('HOME'), '/root');
  assert.equal(environment.get('EMPTY'), '');
  assert.equal(environment.get('MISSING'), undefined);
  assert.equal(environment.get('NOSUCH'), undefined);
});

test('changes are those of one rank', () => {
  const [one, other] = [new Environment(base), new Environment(base)];
  one.set('HOME', '/home');
  one.set('NEW', 'x');
  one.set('PATH', null);
  one.set('NEVER', null);
  assert.deepEqual(one.all(), { HOME: '/home', EMPTY: '', NEW: 'x' });
  assert.equal(one.get('PATH'), undefined);
  assert.equal(one.get('NEW'), 'x');
  assert.deepEqual(other.all(), { HOME: '/root', PATH: '/bin', EMPTY: '' });
});

test('a variable that was unset can be set again', () => {
  const environment = new Environment(base);
  environment.set('HOME', null);
  environment.set('HOME', '');
  assert.equal(environment.get('HOME'), '');
  assert.equal(environment.all().HOME, '');
});
