// The configuration as it is read from files, folders and the command line.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { type JsonObject, type JsonValue, stringifyJson } from '../../../core/json.ts';
import { mergeConfig, readConfigPath, updateConfig } from '../../../core/node/config-files.ts';
import { throwsCode } from '../../errors.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-config-files-'));
after(() => fs.rmSync(folder, { recursive: true }));

let folders = 0;

/** A new folder with these files. */
function folderOf(files: Readonly<Record<string, string>>): string {
  const made = path.join(folder, String(++folders));
  fs.mkdirSync(made);
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(made, name), text);
  return made;
}

const asText = (config: JsonObject) => stringifyJson(config);

test('a TOML file keeps integers, reals and long integers apart, and dates as texts', () => {
  const file = path.join(
    folderOf({
      'a.toml': 'i = 2\nr = 2.0\nbig = 9007199254740993\nd = 1979-05-27T07:32:00Z\n[t]\na = [1, "x", false]\n',
    }),
    'a.toml',
  );
  assert.equal(
    asText(readConfigPath(file)),
    '{"i":2,"r":2.0,"big":9007199254740993,"d":"1979-05-27T07:32:00.000Z","t":{"a":[1,"x",false]}}',
  );
});

test('a file that ends in .json is JSON, any other TOML', () => {
  const made = folderOf({ 'a.json': '{"x": {"y": 1}}', 'b.conf': 'x.y = 2' });
  assert.deepEqual(readConfigPath(path.join(made, 'a.json')), { x: { y: 1 } });
  assert.deepEqual(readConfigPath(path.join(made, 'b.conf')), { x: { y: 2 } });
});

test('the TOML files of a folder are put together in the order of their names', () => {
  const made = folderOf({
    '20.toml': '[t]\nb = 2\nc = 2\n[only.second]\nx = 1',
    '10.toml': '[t]\na = 1\nb = 1\n[only.first]\nx = 1',
    'other.json': '{"not": "read"}',
    toml: 'not = "read"',
  });
  assert.deepEqual(readConfigPath(made), {
    t: { a: 1, b: 2, c: 2 },
    only: { first: { x: 1 }, second: { x: 1 } },
  });
  assert.deepEqual(readConfigPath(folderOf({})), {});
});

test('what is wrong is told with its file and line', () => {
  const made = folderOf({ 'a.toml': 'x = 1', 'b.toml': '[t]\n\nx = \n', 'c.json': '[1]', 'd.json': '{"x":}' });
  const file = (name: string) => path.join(made, name);
  throwsCode(() => readConfigPath(made), 'EINVAL', new RegExp(`^Config file error: ${file('b.toml')}:3: `));
  throwsCode(() => readConfigPath(file('c.json')), 'EINVAL', /c\.json: not a JSON object/);
  throwsCode(() => readConfigPath(file('d.json')), 'EINVAL', /^Config file error: .*d\.json: /);
  throwsCode(() => readConfigPath(file('e.toml')), 'ENOENT', /^Config file error: .*e\.toml/);
});

const base: JsonObject = { t: { a: 1, sub: { x: 1 } }, n: 5 };

for (const [value, expected] of [
  ['t.a=2', { t: { a: 2, sub: { x: 1 } }, n: 5 }],
  ['t.a=word', { t: { a: 'word', sub: { x: 1 } }, n: 5 }],
  ['t.a="2"', { t: { a: '2', sub: { x: 1 } }, n: 5 }],
  ['t.a=true', { t: { a: true, sub: { x: 1 } }, n: 5 }],
  ['t.a=', { t: { a: '', sub: { x: 1 } }, n: 5 }],
  ['t.a=x=y', { t: { a: 'x=y', sub: { x: 1 } }, n: 5 }],
  ['t.sub={"y":[2]}', { t: { a: 1, sub: { x: 1, y: [2] } }, n: 5 }],
  ['n.deep.er=1', { t: { a: 1, sub: { x: 1 } }, n: { deep: { er: 1 } } }],
  ['t=1', { t: 1, n: 5 }],
  ['{"t":{"b":1}}', { t: { a: 1, sub: { x: 1 }, b: 1 }, n: 5 }],
  ['[t]\nb = 1\n', { t: { a: 1, sub: { x: 1 }, b: 1 }, n: 5 }],
  ['t.b = 1\nn = 6', { t: { a: 1, sub: { x: 1 }, b: 1 }, n: 6 }],
] as [string, JsonObject][]) {
  test(`--conf=${JSON.stringify(value)} makes ${JSON.stringify(expected)}`, () => {
    assert.deepEqual(updateConfig(base, value), expected);
    assert.deepEqual(base, { t: { a: 1, sub: { x: 1 } }, n: 5 }, 'the old configuration is changed');
  });
}

test('--conf of a path reads what is there', () => {
  assert.deepEqual(updateConfig(base, folderOf({ 'a.toml': 'n = 7' })), { ...base, n: 7 });
});

for (const [value, code, text] of [
  ['{"x"', 'EINVAL', /^--conf: /],
  ['x = \n', 'EINVAL', /^--conf:1: /],
  ['/nonexistent/file', 'ENOENT', /^Config file error: .*nonexistent/],
] as const) {
  test(`--conf=${JSON.stringify(value)} is refused`, () => throwsCode(() => updateConfig(base, value), code, text));
}

/** The value at a path of keys, without any table on the way. */
function leaves(config: JsonObject, prefix = ''): [string, JsonValue][] {
  return Object.entries(config).flatMap(([key, value]) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? leaves(value as JsonObject, `${prefix}${key}.`)
      : [[prefix + key, value!] as [string, JsonValue]],
  );
}

const key = fc.constantFrom('a', 'b', 'c');
const { config } = fc.letrec<{ config: JsonObject }>((tie) => ({
  config: fc.dictionary(key, fc.oneof({ maxDepth: 3 }, fc.integer(), tie('config')), { maxKeys: 3 }),
}));

test('of two configurations put together, what the upper one says holds, and of the lower one what that leaves', () => {
  fc.assert(
    fc.property(config, config, (under, over) => {
      const merged = new Map(leaves(mergeConfig(under, over)));
      const upper = leaves(over);
      for (const [where, value] of upper) assert.equal(merged.get(where), value, where);
      for (const [where, value] of leaves(under)) {
        const hidden = upper.some(
          ([other]) => `${where}.`.startsWith(`${other}.`) || `${other}.`.startsWith(`${where}.`),
        );
        if (!hidden && !isTable(over, where)) assert.equal(merged.get(where), value, where);
      }
      for (const [where] of merged)
        assert.ok(
          [...upper, ...leaves(under)].some(([other]) => other === where),
          `${where} comes from nowhere`,
        );
    }),
  );
});

/** Whether a path leads to a table. */
function isTable(config: JsonObject, where: string): boolean {
  let at: JsonValue | undefined = config;
  for (const each of where.split('.')) at = typeof at === 'object' ? (at as JsonObject)[each] : undefined;
  return typeof at === 'object';
}
