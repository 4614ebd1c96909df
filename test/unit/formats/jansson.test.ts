// JSON in Flux's layout, and what is said of a text that is none, as jansson 2.14 said it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FluxError } from '../../../core/errno.ts';
import { encodeJson, parseJson, parseJsonSequence } from '../../../core/formats/jansson.ts';
import { type JsonValue, Real } from '../../../core/json.ts';

const isEinval = (error: unknown) => error instanceof FluxError && error.code === 'EINVAL' && !!error.detail;

test('errors', () => {
  const rows: [string, string][] = [
    ['[[0,1,1,1],', "']' expected near end of file"],
    ['[', "']' expected near end of file"],
    ['[}', "unexpected token near '}'"],
    ['[1 2]', "']' expected near '2'"],
    ['{', "string or '}' expected near end of file"],
    ['{"a"}', "':' expected near '}'"],
    ['{"a":', 'unexpected token near end of file'],
    ['{"a":1', "'}' expected near end of file"],
    ['{"a":1,}', "string or '}' expected near '}'"],
    ['[1,]', "unexpected token near ']'"],
    ['[01]', "invalid token near '0'"],
    ['["abc', "premature end of input near '\"abc'"],
    ['[tru]', "invalid token near 'tru'"],
    ['[1]x', "end of file expected near 'x'"],
    ['["\\x"]', "invalid escape near '\"\\x'"],
    ['["\\u00"]', 'invalid escape near \'"\\u00"\''],
    ['[-]', "invalid token near '-'"],
    ['[1.]', "invalid token near '1.'"],
    ['[1e]', "invalid token near '1e'"],
    ['{1:2}', "string or '}' expected near '1'"],
    ["['a']", "invalid token near '''"],
    ['["a\nb"]', "unexpected newline near '\"a'"],
    ['["a\u0001b"]', "control character 0x1 near '\"a'"],
    ['[,]', "unexpected token near ','"],
    ['[é]', "invalid token near 'é'"],
    ['[😃]', "invalid token near '😃'"],
    ['[""x]', "']' expected near 'x'"],
    ['[averylongwordthatisnojson]', 'invalid token'],
    ['', 'unexpected token near end of file'],
    ['['.repeat(3000), 'maximum parsing depth reached'],
  ];
  for (const [text, detail] of rows) {
    assert.throws(
      () => parseJson(text),
      (error) =>
        error instanceof FluxError &&
        error.detail!.startsWith(detail) &&
        (error.detail === detail || detail.startsWith('max')),
      `${text.slice(0, 40)} ${detail}`,
    );
  }
});

test('values nested deeper than 2048 are refused both ways', () => {
  const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
  assert.equal(encodeJson(parseJson(nested(2048)) as JsonValue), nested(2048));
  assert.throws(() => parseJson(nested(2049)), { detail: 'maximum parsing depth reached' });
  assert.throws(() => parseJson(nested(500_000)), { detail: 'maximum parsing depth reached' });
  assert.throws(() => encodeJson(JSON.parse(nested(500_000))), isEinval);
  assert.deepEqual(parseJson(`["${'[\\"'.repeat(3000)}"]`), ['["'.repeat(3000)]);
});

test('values behind one another', () => {
  assert.deepEqual(parseJsonSequence('{"a":1}\n[2]{}'), [{ a: 1 }, [2], {}]);
  assert.deepEqual(parseJsonSequence(' {"a":"}{"} rest {}'), [{ a: '}{' }]);
  assert.throws(() => parseJsonSequence(''), { detail: "'[' or '{' expected near end of file" });
  assert.throws(() => parseJsonSequence('"x"'), { detail: "'[' or '{' expected near '\"x\"'" });
  assert.throws(() => parseJsonSequence('{"a"'), { detail: "':' expected near end of file" });
});

test('layout', () => {
  const rows: [JsonValue, string][] = [
    [
      { a: [1, 2.5, -3], b: {}, c: [], d: null, e: true, f: undefined },
      '{"a": [1, 2.5, -3], "b": {}, "c": [], "d": null, "e": true}',
    ],
    [new Real(0), '0.0'],
    [new Real(200), '200.0'],
    [[0.1, 1717171717.123456, 1e-7], '[0.10000000000000001, 1717171717.123456, 9.9999999999999995e-8]'],
    [[new Real(1e300), new Real(1e22)], '[1.0000000000000001e300, 1e22]'],
    [9007199254740991, '9007199254740991'],
    [9007199254740993n, '9007199254740993'],
    ['é\u0001/\u001f\u007f"\\u001f\n😀', '"é\\u0001/\\u001F\u007f\\"\\\\u001f\\n😀"'],
  ];
  for (const [value, text] of rows) assert.equal(encodeJson(value), text);
  assert.throws(() => encodeJson(NaN), isEinval);
});

test('what is written reads back', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = encodeJson(value as JsonValue);
      assert.deepEqual(parseJson(text), JSON.parse(JSON.stringify(value)));
      assert.deepEqual(parseJsonSequence(`[${text}] [${text}]`), [[parseJson(text)], [parseJson(text)]]);
    }),
  );
});

test('any text is JSON or EINVAL, and JSON.parse agrees', () => {
  const scraps = fc.string({ unit: fc.constantFrom(...'[]{}:,"\\ue-+.10 \n', 'true', 'null') });
  fc.assert(
    fc.property(fc.oneof(scraps, fc.string({ unit: 'binary' })), (text) => {
      try {
        parseJson(text);
      } catch (error) {
        assert.ok(isEinval(error), String(error));
        assert.equal((error as FluxError).cause, undefined, text);
      }
    }),
    { numRuns: 2000 },
  );
});
