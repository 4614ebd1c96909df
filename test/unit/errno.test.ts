// Errors of any kind become an errno and a sentence for people.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { asFluxError, errno, FluxError } from '../../core/errno.ts';

function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

const systemError = (message: string, more: object) => Object.assign(new Error(message), more);

test('what is thrown becomes an errno and a sentence', () => {
  const rows: readonly (readonly [thrown: unknown, errno: number, message: string])[] = [
    [thrownBy(() => fs.readFileSync('/no/such')), errno.ENOENT, '/no/such: No such file or directory'],
    [thrownBy(() => fs.readdirSync('/dev/null')), errno.ENOTDIR, '/dev/null: Not a directory'],
    [systemError('write EPIPE', { code: 'EPIPE', syscall: 'write' }), errno.EPIPE, 'Broken pipe'],
    // One that a program made up itself says what it means.
    [systemError('no luck', { code: 'EAGAIN' }), errno.EAGAIN, 'no luck'],
    [systemError('odd', { code: 'ERR_INVALID_ARG_TYPE' }), errno.EIO, 'odd'],
    [systemError('odd', { code: 'toString' }), errno.EIO, 'odd'],
    [new Error('plain'), errno.EIO, 'plain'],
    ['text', errno.EIO, 'text'],
    [undefined, errno.EIO, 'undefined'],
    [null, errno.EIO, 'null'],
  ];
  for (const [thrown, number, message] of rows) {
    const error = asFluxError(thrown);
    assert.deepEqual([error.errno, error.message], [number, message]);
    assert.equal(error.cause, thrown);
  }
  assert.equal(asFluxError(new Error('x'), 'EINVAL').errno, errno.EINVAL);
  const own = new FluxError('ENOSYS');
  assert.equal(asFluxError(own), own);
});
