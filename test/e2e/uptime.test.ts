// flux uptime, version and startlog: what they show of a real instance, and without one.

import assert from 'node:assert/strict';
import os from 'node:os';
import { after, before, test } from 'node:test';
import { flux, type Instance, run, startInstance } from './instance.ts';
import { checkRows } from './rows.ts';

let instance: Instance;
before(async () => {
  instance = await startInstance(2);
});
after(() => instance.stop());

const { username } = os.userInfo();

test('uptime and version tell of the instance', () =>
  checkRows(instance, [
    {
      args: ['uptime'],
      stdout: new RegExp(`^ \\d\\d:\\d\\d:\\d\\d run \\S+, {2}owner ${username}, {2}depth 0, {2}size 2\n$`),
    },
    { args: ['uptime', '--json'], stdout: /^\{"state":"run","duration":\d+\.?\d*,"owner":.*"size":2,.*\}\n$/ },
    { args: ['uptime', 'word'], stderr: /too many arguments/, exit: 1 },
    {
      args: ['version'],
      stdout:
        /^commands: +0\.88\.0\nlibflux-core: +0\.88\.0\nflux-ts: +\S+\nbroker: +0\.88\.0\nFLUX_URI: +local:.*\nbuild-options: /,
    },
    { args: ['version', '--json'], stdout: /^\{"commands":"0\.88\.0",.*\}\n$/ },
    { args: ['--version'], stdout: /^commands: / },
  ]));

test('startlog says what is wrong', () =>
  checkRows(instance, [
    { args: ['startlog', '--badopt'], stderr: /unknown option '--badopt'/, exit: 1 },
    { args: ['startlog', '--test-startlog-version=x'], stderr: /'x' is not a count/, exit: 1 },
    {
      args: ['startlog', '--post-start-event'],
      options: { env: { FLUX_URI: 'local:///nowhere' } },
      stderr: /cannot connect/,
      exit: 1,
    },
  ]));

test('without an instance there is the version of the program', async () => {
  const env = { FLUX_URI: undefined };
  assert.match((await run(flux, ['version'], { env })).stdout, /^commands: .*\n.*\n.*\nbuild-options: .*\n$/);
  const { stderr, exit } = await run(flux, ['uptime'], { env: { FLUX_URI: 'local:///nowhere' } });
  assert.match(stderr, /^flux-uptime: cannot connect to local:\/\/\/nowhere: /);
  assert.equal(exit, 1);
});
