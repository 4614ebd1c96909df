// Operations as requests carry them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ErrnoName } from '../../../core/errno.ts';
import type { JsonValue } from '../../../core/json.ts';
import { readOperations } from '../../../workers/kvs/transaction.ts';
import { throwsCode } from '../../errors.ts';

const dirent = { ver: 1, type: 'val', data: 'MQ==' };

test('operations are read', () => {
  const ops = [
    { key: 'a.b', flags: 0, dirent },
    { key: '', flags: 32, dirent },
    { key: '.', flags: 4711, dirent: null },
  ];
  assert.deepEqual(readOperations(ops), ops);
  assert.deepEqual(readOperations([]), []);
});

test('what is no array counts as no operations', () => {
  for (const ops of ['x', {}, null, 1]) assert.deepEqual(readOperations(ops), []);
});

test('operations that are none', () => {
  const rows: readonly (readonly [op: JsonValue, code: ErrnoName])[] = [
    [null, 'EPROTO'],
    ['a', 'EPROTO'],
    [{ flags: 0, dirent }, 'EPROTO'],
    [{ key: 'a', dirent }, 'EPROTO'],
    [{ key: 'a', flags: 0 }, 'EPROTO'],
    [{ key: 1, flags: 0, dirent }, 'EPROTO'],
    [{ key: 'a', flags: '0', dirent }, 'EPROTO'],
    [{ key: 'a', flags: 0, dirent, more: 1 }, 'EPROTO'],
    [{ key: 'a', flags: 32, dirent: 'MQ==' }, 'EPROTO'],
    [{ key: 'a', flags: 32, dirent: { ver: 1, type: 'dir', data: [] } }, 'EPROTO'],
    [{ key: 'a', flags: 32, dirent: { ver: 1, type: 'val', data: 1 } }, 'EINVAL'],
    [{ key: 'a', flags: 0, dirent: 'MQ==' }, 'EINVAL'],
    [{ key: 'a', flags: 0, dirent: {} }, 'EINVAL'],
    [{ key: 'a', flags: 0, dirent: { ...dirent, ver: 2 } }, 'EINVAL'],
    [{ key: 'a', flags: 0, dirent: { ...dirent, type: 'hdir' } }, 'EINVAL'],
    [{ key: 'a', flags: 0, dirent: { ver: 1, type: 'dirref', data: ['sha1-0'] } }, 'EINVAL'],
  ];
  for (const [op, code] of rows) throwsCode(() => readOperations([{ key: 'b', flags: 0, dirent }, op]), code);
});
