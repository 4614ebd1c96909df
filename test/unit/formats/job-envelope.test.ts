// Envelopes of jobspecs come back as they were; what is none is refused with what is wrong.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { unwrapJobspec, unwrapUnsigned, wrapUnsigned } from '../../../core/formats/job-envelope.ts';
import { throwsCode } from '../../errors.ts';

test('what is wrapped is what is unwrapped', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat({ max: 2 ** 32 - 1 }), (text, userid) => {
      const J = wrapUnsigned(text, userid);
      assert.deepEqual(unwrapUnsigned(J), { payload: Buffer.from(text), userid });
      assert.equal(unwrapJobspec(J), Buffer.from(text).toString());
    }),
  );
});

test('what is no envelope says why', () => {
  const header = (text: string) => Buffer.from(text.replaceAll(' ', '\0')).toString('base64');
  const good = header('version i1 userid i5 mechanism snone ');
  const rows: [J: string, text: RegExp][] = [
    ['', /three parts/],
    ['a.b', /three parts/],
    [`${good}.e30=.munge`, /not of the mechanism none/],
    [`${good}.e30.none.`, /not of the mechanism none/],
    [`?.e30=.none`, /header is no base64/],
    [`${good}.e3.0=.none`, /not of the mechanism none/],
    [`${good}.e30==e.none`, /payload is no base64/],
    [`${header('version i1 userid')}.e30=.none`, /has no value/],
    [`${header('version i1 x y ')}.e30=.none`, /unknown key 'x'/],
    [`${header('version i2 userid i5 mechanism snone ')}.e30=.none`, /not of version 1/],
    [`${header('version i1 userid i5 mechanism smunge ')}.e30=.none`, /mechanism none/],
    [`${header('version i1 userid i mechanism snone ')}.e30=.none`, /names no user/],
  ];
  for (const [J, text] of rows) throwsCode(() => unwrapUnsigned(J), 'EINVAL', text);
});
