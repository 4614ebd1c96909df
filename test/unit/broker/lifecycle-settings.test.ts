// What attributes say of a broker's life: quorum and timeouts, with their defaults and what is refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lifecycleSettings, timeoutAttributes } from '../../../core/broker/lifecycle-settings.ts';
import { throwsCode } from '../../errors.ts';

const settings = (attributes: Readonly<Record<string, string>>, size = 8) =>
  lifecycleSettings((name) => attributes[name], size);

test('without attributes all ranks are waited for, a minute at a time', () => {
  assert.deepEqual(settings({}), {
    quorumSize: 8,
    quorumWarn: 60,
    shutdownWarn: 60,
    shutdown: undefined,
    cleanup: undefined,
    unloadBuiltins: 60,
  });
});

for (const [attribute, setting] of [
  ['broker.quorum-warn', 'quorumWarn'],
  ['broker.shutdown-warn', 'shutdownWarn'],
  ['broker.shutdown-timeout', 'shutdown'],
  ['broker.cleanup-timeout', 'cleanup'],
  ['broker.unload-builtins-timeout', 'unloadBuiltins'],
] as const) {
  test(`${attribute} is a duration, or none`, () => {
    for (const [text, seconds] of [
      ['none', undefined],
      ['90', 90],
      ['1.5h', 5400],
      ['0', 0],
      ['infinity', Number.POSITIVE_INFINITY],
    ] as const)
      assert.equal(settings({ [attribute]: text })[setting], seconds, text);
  });
}

for (const attribute of Object.keys(timeoutAttributes))
  test(`${attribute} that is neither is refused`, () => {
    for (const text of ['soon', '-1s', 'None'])
      throwsCode(
        () => settings({ [attribute]: text }),
        'EINVAL',
        new RegExp(`^Error parsing ${attribute.replaceAll('.', '\\.')} attribute: .*${text}`),
      );
  });

test('a quorum is a number of ranks that there are', () => {
  for (const [text, size, quorum] of [
    ['1', 8, 1],
    ['8', 8, 8],
    ['1', 1, 1],
  ] as const)
    assert.equal(settings({ 'broker.quorum': text }, size).quorumSize, quorum);
  for (const text of ['0', '9', '-1', '1.5', '0x2', '', 'all', ' 4'])
    throwsCode(() => settings({ 'broker.quorum': text }), 'EINVAL', /no size between 1 and 8$/);
});
