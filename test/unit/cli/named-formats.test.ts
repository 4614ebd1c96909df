// Formats with names: which there are, what files add, and what is wrong with these.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { faultIn, loadToolConfig, ToolConfig } from '../../../cli/named-formats.ts';
import type { JsonObject } from '../../../core/json.ts';

const formats = { default: { format: '{a}' }, long: { description: 'All of it', format: '{a} {b}' } };
const commands = {
  list: { formats, settings: { hidden: (value: unknown) => (value === true ? undefined : 'hidden must be true') } },
  status: { formats: {} },
};

test('a format is one, or the name of one', () => {
  const config = new ToolConfig('flux-tool', 'list', formats);
  const variable = 'FLUX_TOOL_LIST_FORMAT_DEFAULT';
  assert.equal(config.choose('{x}', {}), '{x}');
  assert.equal(config.choose('long', {}), '{a} {b}');
  assert.equal(config.choose('default', {}), '{a}');
  assert.equal(config.choose('default', { [variable]: 'long' }), '{a} {b}');
  assert.equal(config.choose('default', { [variable]: '{y}' }), '{y}');
  assert.equal(config.choose('long', { [variable]: '{y}' }), '{a} {b}');
  assert.throws(() => config.choose('a b', {}), /no format 'a b' \(did you mean '\{a\} \{b\}'\?\)/);
  assert.throws(() => config.choose('toString', {}), /no format/);
});

test('files that hold what no command knows are refused', () => {
  const rows: [JsonObject, RegExp][] = [
    [{ nosuch: {} }, /invalid key nosuch/],
    [{ list: 1 }, /list must be a table/],
    [{ list: { nosuch: 1 } }, /invalid key list\.nosuch/],
    [{ status: { hidden: true } }, /invalid key status\.hidden/],
    [{ list: { hidden: 1 } }, /list\.hidden must be true/],
    [{ list: { formats: 'x' } }, /list\.formats must be a table/],
    [{ list: { formats: { a: 'x' } } }, /formats\.a must be a table/],
    [{ list: { formats: { a: {} } } }, /formats\.a\.format must be there/],
    [{ list: { formats: { a: { format: 1 } } } }, /formats\.a\.format must be there, and a string/],
    [{ list: { formats: { long: { format: '{a}' } } } }, /built in/],
  ];
  for (const [content, sentence] of rows) assert.match(faultIn(content, commands) ?? '', sentence);
  assert.equal(faultIn({ list: { hidden: true, formats: { a: { format: '{a}' } } } }, commands), undefined);
});

test("the user's files go before those of the system", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-formats-'));
  const write = (name: string, text: string) => {
    fs.mkdirSync(path.join(folder, path.dirname(name)), { recursive: true });
    fs.writeFileSync(path.join(folder, name), text);
  };
  const environment = {
    XDG_CONFIG_HOME: path.join(folder, 'home'),
    XDG_CONFIG_DIRS: `${path.join(folder, 'one')}:${path.join(folder, 'two')}`,
  };
  const load = () => loadToolConfig('flux-tool', commands, 'list', environment);
  try {
    assert.deepEqual(load().formats, formats, 'no files');
    write('two/flux/flux-tool.toml', '[list]\nhidden = true\n[list.formats]\nx.format = "{two}"\ny.format = "{two}"\n');
    write('one/flux/flux-tool.json', '{"list": {"formats": {"x": {"format": "{one}"}, "z": {"format": "{one}"}}}}');
    write('home/flux/flux-tool.toml', '[list.formats.z]\nformat = "{home}"\n');
    const config = load();
    assert.deepEqual(
      ['x', 'y', 'z'].map((name) => config.choose(name, {})),
      ['{one}', '{two}', '{home}'],
    );
    assert.equal(config.settings.hidden, true);
    write('home/flux/flux-tool.toml', 'nosuch = 1\n');
    assert.throws(load, /home\/flux\/flux-tool\.toml: invalid key nosuch/);
    write('home/flux/flux-tool.toml', 'a = = 1\n');
    assert.throws(load, /flux-tool\.toml:1/);
    write('home/flux/flux-tool.json', '[]');
    assert.throws(load, /flux-tool\.json is not a JSON object/);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});
