// flux logger and flux dmesg on a real instance of two ranks: what is written shows, how it looks, and that following
// ends as it should.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { flux, type Instance, run, startInstance } from './instance.ts';
import { checkRows } from './rows.ts';

let instance: Instance;
before(async () => {
  instance = await startInstance(2, ['-Slog-stderr-level=0']);
});
after(() => instance.stop());

const time = '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{6}Z';

/** The terminal's sequence for a style, to be found. */
const sgr = (codes: string) => `\x1b\\[${codes}m`;

/** The whole log in one form. */
const lines = (...texts: string[]) => new RegExp(`^${texts.map((text) => `${time} ${text}\n`).join('')}$`);

test('what is logged shows until it is cleared', () =>
  checkRows(instance, [
    { args: ['dmesg'], stdout: /broker\.info\[0\]: / },
    { args: ['dmesg', '-C'] },
    { args: ['dmesg'] },
    { args: ['logger', 'one', 'two', 'ƒ'] },
    { args: ['logger', '-s', 'err', '-n', 'app', 'three'] },
    { args: ['logger', '--severity=debug', '--appname=app', '--', '-four'] },
    {
      args: ['dmesg', '--read-clear'],
      stdout: lines('logger\\.notice\\[0\\]: one two ƒ', 'app\\.err\\[0\\]: three', 'app\\.debug\\[0\\]: -four'),
    },
    { args: ['dmesg'] },
    { args: ['logger'], options: { stdin: 'a\n\r\n\nb\nc' } },
    { args: ['dmesg', '-c'], stdout: lines(...['a', 'b', 'c'].map((text) => `logger\\.notice\\[0\\]: ${text}`)) },
    { args: ['logger', ''] },
    { args: ['logger'] },
    { args: ['dmesg', '-c'], stdout: lines('logger\\.notice\\[0\\]: ', 'logger\\.notice\\[0\\]: ') },
  ]));

test('entries look as they are wanted', () =>
  checkRows(instance, [
    { args: ['dmesg', '-C'] },
    { args: ['logger', 'first'] },
    { args: ['logger', '-s', 'crit', 'second'] },
    {
      args: ['dmesg', '-H'],
      stdout:
        /^\[[A-Z][a-z]{2}\d\d \d\d:\d\d\] logger\.notice\[0\]: first\n\[( +\+\d+\.\d{6}|[A-Z].*)\] logger.crit.*\n$/,
    },
    { args: ['dmesg', '-Hd'], stdout: /: first\n\[.{11,12}\] logger\.crit\[0\]: second\n$/ },
    {
      args: ['dmesg', '--color=always'],
      stdout: new RegExp(
        `^${sgr('32')}${time}${sgr('0')} ${sgr('33')}logger\\.notice\\[0\\]${sgr('0')}: first\n.*: ${sgr('01;31')}second${sgr('0')}\n$`,
      ),
    },
    { args: ['dmesg', '-HL', '-d'], stdout: new RegExp(`${sgr('01;32')}\\[`) },
    {
      args: ['dmesg'],
      options: { env: { TZ: 'Asia/Kolkata' } },
      stdout: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+05:30 logger/,
    },
    {
      args: ['dmesg', '--json'],
      stdout: /^\{"timestamp":"[^"]+Z","rank":0,"appname":"logger","severity":"notice","text":"first"\}\n\{.*\}\n$/,
    },
    { args: ['dmesg', '--delta'], stderr: /--human/, exit: 1 },
    { args: ['dmesg', '--color=perhaps'], stderr: /'perhaps' is invalid/, exit: 1 },
    { args: ['dmesg', 'word'], stderr: /too many arguments/, exit: 1 },
    { args: ['logger', '-s', 'loud', 'x'], stderr: /emerg, alert, crit/, exit: 1 },
    { args: ['logger', '-n', 'two words', 'x'], stderr: /'two words' is no name/, exit: 1 },
    {
      args: ['logger', 'x'],
      options: { env: { FLUX_HANDLE_USERID: '9', FLUX_HANDLE_ROLEMASK: '2' } },
      stderr: /./,
      exit: 1,
    },
  ]));

test('following goes on with new entries', async () => {
  await instance.flux(['dmesg', '-C']);
  await instance.flux(['logger', 'old']);
  let shown = '';
  const until = (stdout: string) => {
    shown = stdout;
    return stdout.includes('new');
  };
  const all = instance.flux(['dmesg', '--follow'], { until });
  for (let tries = 0; tries < 100 && !shown.includes('old'); tries++) await new Promise(setImmediate);
  const recent = instance.flux(['dmesg', '--follow', '--new'], { until: (stdout) => stdout.includes('new') });
  let ended = 0;
  for (const each of [all, recent]) void each.then(() => ended++);
  for (let tries = 0; tries < 100 && ended < 2; tries++) await instance.flux(['logger', 'new']);
  const texts = (stdout: string) => new Set(stdout.match(/(old|new)$/gm));
  assert.deepEqual(texts((await all).stdout), new Set(['old', 'new']));
  assert.deepEqual(texts((await recent).stdout), new Set(['new']));
  assert.equal((await all).exit, 'SIGTERM');
});

test('an instance without the native addon says in its log what it lacks', async () => {
  const env = { FLUX_NATIVE_PATH: '/nonexistent/addon.node' };
  const { stdout, exit } = await run(flux, ['start', flux, 'dmesg'], { env });
  assert.match(stdout, /broker\.notice\[0\]: The native addon is missing \(.*\): no peer credentials/);
  assert.equal(exit, 0);
});
