// The environment that programs under flux find: folders of the user in front, nothing twice.

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { fluxEnvironment, setUpEnvironment } from '../../../cli/environment.ts';
import { builtInConfiguration } from '../../../core/broker/built-in-configuration.ts';

const saved = { ...process.env };
afterEach(() => {
  process.env = { ...saved };
});

const { exec_path, connector_path, module_path } = builtInConfiguration;

test('search paths are what the user prepends, what is built in, and what is set', () => {
  const rows: readonly (readonly [prepend: string | undefined, set: string | undefined, expected: string])[] = [
    [undefined, undefined, '*'],
    ['', '', '*'],
    [undefined, '/a', '*:/a'],
    ['/p', '/a:/b', '/p:*:/a:/b'],
    ['/a', '/a', '/a:*'],
    ['/p:/p', '/a:/p', '/p:*:/a'],
  ];
  const paths = { FLUX_EXEC_PATH: exec_path, FLUX_CONNECTOR_PATH: connector_path, FLUX_MODULE_PATH: module_path };
  for (const [prepend, set, expected] of rows) {
    for (const [name, builtIn] of Object.entries(paths)) {
      for (const [variable, value] of [
        [`${name}_PREPEND`, prepend],
        [name, set],
      ] as const)
        if (value === undefined) delete process.env[variable];
        else process.env[variable] = value;
      setUpEnvironment();
      assert.equal(process.env[name], expected.replace('*', builtIn!));
      // Commands that commands run set it up again.
      setUpEnvironment();
      assert.equal(process.env[name], expected.replace('*', builtIn!), 'again');
    }
  }
});

test('the environment that is shown is the one that is set', () => {
  delete process.env.FLUX_URI;
  setUpEnvironment();
  const names = fluxEnvironment().map(([name]) => name);
  assert.deepEqual(names, ['PATH', 'FLUX_EXEC_PATH', 'FLUX_CONNECTOR_PATH', 'FLUX_MODULE_PATH']);
  process.env.FLUX_URI = 'local:///x';
  assert.deepEqual(fluxEnvironment().at(-1), ['FLUX_URI', 'local:///x']);
});
