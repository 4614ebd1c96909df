// Guests (RFC 12): users other than the one who owns the instance. They are refused, let in, or made admins, as [access]
// says. Another user is needed to try that, so all of it is skipped unless root runs the tests.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { flux, type Instance, run, startInstance } from './instance.ts';

const NOBODY = 65534;
const nobody = execFileSync('id', ['-un', String(NOBODY)], { encoding: 'utf8' }).trim();
const group = execFileSync('id', ['-gn', String(NOBODY)], { encoding: 'utf8' }).trim();

/** Why the tests cannot be run here. */
async function whyNot(): Promise<string | false> {
  if (process.getuid?.() !== 0) return 'only root can become another user';
  const { exit } = await run(process.execPath, [flux, 'version'], { uid: NOBODY, cwd: '/' }).catch(() => ({ exit: 1 }));
  return exit === 0 ? false : `${nobody} cannot run ${flux}`;
}

async function withInstance(config: readonly string[], use: (instance: Instance) => Promise<void>): Promise<void> {
  const instance = await startInstance(
    2,
    config.map((setting) => `--conf=${setting}`),
  );
  try {
    await use(instance);
  } finally {
    const { exit, stderr } = await instance.stop();
    assert.equal(exit, 0, stderr);
  }
}

const options = { uid: NOBODY, cwd: '/' };

describe('guests', { skip: await whyNot() }, () => {
  test('cannot even look into the folder of an instance that wants none', () =>
    withInstance([], async ({ flux }) => {
      const { stderr, exit } = await flux(['ping', '-c1', 'broker'], options);
      assert.match(stderr, /cannot connect to local:.*(EACCES|Permission denied)/i);
      assert.equal(exit, 1);
    }));

  test('are known by their userid, have the role user, and may do what is allowed to them', () =>
    withInstance(['access.allow-guest-user=true'], async ({ flux }) => {
      const local = await flux(['ping', '-c1', '--userid', 'broker'], options);
      assert.match(local.stdout, new RegExp(`userid=${NOBODY} rolemask=0x6 `), local.stderr);
      const far = await flux(['ping', '-c1', '--userid', '1'], options);
      assert.match(far.stdout, new RegExp(`userid=${NOBODY} rolemask=0x2 `), far.stderr);
      assert.equal((await flux(['getattr', 'size'], options)).stdout, '2\n');
      for (const args of [['setattr', 'x', 'y'], ['module', 'remove', 'heartbeat'], ['exec', 'true'], ['shutdown']]) {
        const { stderr, exit } = await flux(args, options);
        assert.notEqual(exit, 0, args.join(' '));
        assert.match(stderr, /[Oo]wner|[Pp]ermitted|[Pp]ermission|privilege/, args.join(' '));
      }
      // No more than themselves, whatever they say.
      const claimed = await flux(['ping', '-c1', '--userid', 'broker'], {
        ...options,
        env: { FLUX_HANDLE_USERID: '0', FLUX_HANDLE_ROLEMASK: '0x1' },
      });
      assert.doesNotMatch(claimed.stdout, /userid=0 |rolemask=0x1 /);
    }));

  for (const [what, setting, rolemask] of [
    ['by name', `access.roles.admin.users=["${nobody}"]`, '0xe'],
    ['by group', `access.roles.admin.groups=["nosuchgroup","${group}"]`, '0xe'],
    ['nobody else', 'access.roles.admin.users=["nosuchuser"]', '0x6'],
  ] as const)
    test(`are admins when the configuration says so: ${what}`, () =>
      withInstance(['access.allow-guest-user=true', setting], async ({ flux }) => {
        const { stdout, stderr } = await flux(['ping', '-c1', '--userid', 'broker'], options);
        assert.match(stdout, new RegExp(`rolemask=${rolemask} `), stderr);
      }));
});
