// Integers and reals stay apart, 64-bit integers stay whole, and everything else is what JSON says it is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FluxError } from '../../core/errno.ts';
import { type JsonValue, parseJson, Real, real, stringifyJson } from '../../core/json.ts';
import { type Fields, unpack } from '../../core/message/unpack.ts';

for (const [text, value] of [
  ['{"a":2.0}', { a: new Real(2) }],
  ['[0.0,0,1e3,0.5,"2.0 1e3 \\"3.0"]', [new Real(0), 0, new Real(1000), 0.5, '2.0 1e3 "3.0']],
  ['{"id":1152921504606846977}', { id: 1152921504606846977n }],
  ['{"id":9007199254740991,"t":1795260483.6}', { id: 9007199254740991, t: 1795260483.6 }],
  ['-18446744073709551615', -18446744073709551615n],
  ['2.00', new Real(2)],
  ['[ 2.0]', [new Real(2)]],
  ['{"a":\n-25e-1,"b":\t1E2}', { a: -2.5, b: new Real(100) }],
  ['{"path":"/usr/3e:/1e5:2.0,3.0","n":1.50}', { path: '/usr/3e:/1e5:2.0,3.0', n: 1.5 }],
  [
    String.raw`["\\",2.0,"\\\"3.0",4.0,"\\\\\"5.0, 6.0",7.0]`,
    ['\\', new Real(2), '\\"3.0', new Real(4), '\\\\"5.0, 6.0', new Real(7)],
  ],
  [`[12345678901234567,1.0,"${'9'.repeat(20)}"]`, [12345678901234567n, new Real(1), '9'.repeat(20)]],
] as [string, JsonValue][]) {
  test(`reads ${text}`, () => assert.deepEqual(parseJson(text), value));
}

for (const [value, text] of [
  [{ a: real(2), b: real(0.25), c: 2 }, '{"a":2.0,"b":0.25,"c":2}'],
  [[new Real(-0), new Real(1e21), new Real(1e300)], '[0.0,1e+21,1e+300]'],
  [{ id: 2n ** 63n, x: [1n] }, '{"id":9223372036854775808,"x":[1]}'],
  [{ big: 2n ** 60n, r: real(1) }, '{"big":1152921504606846976,"r":1.0}'],
  [{ text: '\u00012.0', none: undefined }, '{"text":"\\u00012.0"}'],
] as [JsonValue, string][]) {
  test(`writes ${text}`, () => assert.equal(stringifyJson(value), text));
}

test('a member __proto__ is one as any other', () => {
  const value = parseJson('{"__proto__":2.0}') as Record<string, JsonValue>;
  assert.deepEqual(Object.getOwnPropertyDescriptor(value, '__proto__')?.value, new Real(2));
  assert.throws(() => parseJson('{"a":2.0'), SyntaxError);
});

test('a text without special numbers reads and writes as JSON does', () => {
  fc.assert(
    fc.property(fc.json(), (text) => assert.deepEqual(JSON.parse(stringifyJson(parseJson(text))), JSON.parse(text))),
  );
});

test('read(write(x)) keeps kinds', () => {
  const leaf = fc.oneof(
    fc.integer(),
    fc.integer().map(real),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
    fc.string(),
    fc.boolean(),
    fc.constant(null),
  );
  const { tree } = fc.letrec<{ tree: JsonValue }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 3 },
      leaf,
      fc.array(tie('tree')),
      fc.dictionary(fc.string(), tie('tree'), { noNullPrototype: true }),
    ),
  }));
  fc.assert(
    fc.property(tree, (value) => {
      if (JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? 0 : v)).includes('__proto__')) return;
      assert.deepEqual(parseJson(stringifyJson(value)), value);
    }),
  );
});

test('a real among them changes nothing of other values', () => {
  const blanks = fc.constantFrom(undefined, 1, '\t', '\r\n ');
  fc.assert(
    fc.property(fc.jsonValue(), blanks, (value, indent) => {
      const text = JSON.stringify([value, { '__proto__ "\\': value, ['__proto__']: 1 }, -0.5, '2.0'], null, indent);
      const [, ...values] = parseJson(text.replace('[', '[2.0,')) as JsonValue[];
      assert.equal(stringifyJson(values), JSON.stringify(JSON.parse(text)));
      assert.deepEqual(values, parseJson(text));
    }),
  );
});

for (const text of ['', '{', '{"a":}', 'nul', '{"a":2.0', '[1e3,]']) {
  test(`refuses ${JSON.stringify(text)}`, () => assert.throws(() => parseJson(text), SyntaxError));
}

const payload = { s: 'x', i: 3, f: new Real(3), h: 0.5, b: false, o: {}, a: [] };
for (const [fields, expected] of [
  [
    { s: 's', i: 'i', b: 'b', o: 'o', a: 'a' },
    { s: 'x', i: 3, b: false, o: {}, a: [] },
  ],
  [
    { f: 'f', h: 'f' },
    { f: 3, h: 0.5 },
  ],
  [
    { i: 'n', f: 'n' },
    { i: 3, f: 3 },
  ],
  [{ s: 's?', absent: 's?' }, { s: 'x' }],
  [{ absent: 's' }, /'absent' is missing/],
  [{ i: 'f' }, /'i' is not a real/],
  [{ f: 'i' }, /'f' is not an integer/],
  [{ i: 's?' }, /'i' is not a string/],
  [{ a: 'o' }, /'a' is not an object/],
  [{ b: 'i' }, /'b' is not an integer/],
] as [Fields, object | RegExp][]) {
  test(`unpack ${JSON.stringify(fields)}`, () => {
    if (!(expected instanceof RegExp)) assert.deepEqual(unpack(payload, fields), expected);
    else
      assert.throws(
        () => unpack(payload, fields),
        (error: FluxError) => error.code === 'EPROTO' && expected.test(error.message),
      );
  });
}

for (const value of [undefined, null, [], 'text', 3, new Real(2)]) {
  test(`unpack of ${JSON.stringify(value)}`, () => assert.throws(() => unpack(value, {}), FluxError));
}
