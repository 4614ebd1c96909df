// Brokers of other machines, by ssh:// URIs. What plays ssh runs the command here; what is in between is real.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { flux, type Instance, run, startInstance } from './instance.ts';
import { checkRows } from './rows.ts';
import { temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const pids = path.join(folder, 'pids');

/** A command that plays ssh, and says of each connection which process it was. */
function script(name: string, text: string): string {
  const file = path.join(folder, name);
  fs.writeFileSync(file, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return file;
}
const ssh = script('ssh', `echo $$ >>${pids}\n[ "$1" = -p ] && shift 2\nshift\neval "exec $*"`);
const deniedSsh = script('denied', 'echo "kim@far: Permission denied (publickey)." >&2\nexit 255');
const silentSsh = script('silent', 'exit 1');

let instance: Instance;
let far: string;
before(async () => {
  instance = await startInstance(2);
  far = instance.uri.replace('local://', 'ssh://kim@far:22');
});
after(() => instance.stop());

test('commands reach a broker of another machine, and leave no process behind', async () => {
  const env = { FLUX_URI: far, FLUX_SSH: ssh };
  const blob = crypto.randomBytes(3_000_000);
  fs.writeFileSync(path.join(folder, 'blob'), blob);
  const ref = `sha1-${crypto.createHash('sha1').update(blob).digest('hex')}`;
  const store = `flux content store <${folder}/blob && flux content load ${ref} | cmp - ${folder}/blob`;
  await checkRows(instance, [
    { args: ['getattr', 'size'], options: { env }, stdout: '2\n' },
    { args: ['run', 'echo', 'there'], options: { env }, stdout: 'there\n' },
    { args: ['exec', '-r', '1', 'flux', 'getattr', 'rank'], options: { env }, stdout: '1\n' },
    { args: ['proxy', far, store], options: { env: { FLUX_SSH: ssh } }, stdout: `${ref}\n` },
  ]);
  const processes = fs.readFileSync(pids, 'utf8').split('\n').filter(Boolean);
  assert.ok(processes.length >= 4);
  const isGone = (pid: string) => !fs.existsSync(`/proc/${pid}`);
  for (const end = Date.now() + 5000; !processes.every(isGone) && Date.now() < end; )
    await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(
    processes.filter((pid) => !isGone(pid)),
    [],
  );
});

for (const [what, uri, command, stderr] of [
  [
    'nobody listens there',
    'ssh://far/no/where',
    ssh,
    /cannot connect to ssh:\/\/far\/no\/where: .*\/no\/where: No such file/,
  ],
  [
    'ssh is refused',
    'ssh://far/run/x',
    deniedSsh,
    /ssh:\/\/far\/run\/x: kim@far: Permission denied \(publickey\)\.\n$/,
  ],
  ['ssh says nothing', 'ssh://far/run/x', silentSsh, /silent' closed the connection/],
  ['there is no ssh', 'ssh://far/run/x', '/no/ssh', /\/no\/ssh: not found/],
  ['no path', 'ssh://far', ssh, /does not name a host and a path/],
] as const) {
  test(`no connection: ${what}`, async () => {
    const result = await run(flux, ['getattr', 'size'], { env: { FLUX_URI: uri, FLUX_SSH: command } });
    assert.match(result.stderr, stderr);
    assert.deepEqual([result.exit, result.stdout], [1, '']);
  });
}

test('relay joins its streams with a broker, and says where there is none', async () => {
  const socket = instance.uri.replace('local://', '');
  const welcome = await run(flux, ['relay', socket], { stdin: '' });
  assert.deepEqual([welcome.exit, welcome.stdout, welcome.stderr], [0, '\0', '']);
  await checkRows(instance, [
    { args: ['relay', '/no/where'], exit: 1, stderr: /local:\/\/\/no\/where: No such file or directory/ },
    { args: ['relay'], exit: 1, stderr: /missing required argument 'path'/ },
  ]);
});
