/** What tests expect of errors. */

import assert from 'node:assert/strict';
import { type ErrnoName, FluxError } from '../core/errno.ts';

function check(error: unknown, code: ErrnoName, text: RegExp): true {
  assert.ok(error instanceof FluxError, `${error} is no FluxError`);
  assert.equal(error.code, code, error.message);
  assert.match(error.message, text);
  return true;
}

/** A promise that must be rejected with an errno, and a sentence that says what about. */
export function refused(promise: Promise<unknown>, code: ErrnoName, text = /./): Promise<void> {
  return assert.rejects(promise, (error) => check(error, code, text));
}

/** As `refused`, for what throws. */
export function throwsCode(action: () => unknown, code: ErrnoName, text = /./): void {
  assert.throws(action, (error) => check(error, code, text));
}
