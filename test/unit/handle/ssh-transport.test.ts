// The command that an ssh:// URI stands for.

import assert from 'node:assert/strict';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { awaitWelcome } from '../../../core/handle/socket-transport.ts';
import { sshCommand } from '../../../core/handle/ssh-transport.ts';
import { refused, throwsCode } from '../../errors.ts';

const node = path.dirname(process.execPath);
const usual = (socket: string) =>
  ['env', `PATH=${[...new Set([`${path.dirname(socket)}/bin`, node, '/bin', '/usr/bin'])].join(':')}`, 'flux'] as const;

for (const [address, environment, command] of [
  ['far/run/local-0', {}, ['ssh', 'far', ...usual('/run/local-0'), 'relay', '/run/local-0']],
  ['kim@far:22/run/x', {}, ['ssh', '-p', '22', 'kim@far', ...usual('/run/x'), 'relay', '/run/x']],
  ["far/run/x;rm 'y'", { FLUX_SSH_RCMD: 'flux' }, ['ssh', 'far', 'flux', 'relay', `'/run/x;rm '"'"'y'"'"''`]],
  ['far/run/x', { FLUX_SSH: '/bin/rsh' }, ['/bin/rsh', 'far', ...usual('/run/x'), 'relay', '/run/x']],
  ['far/run/x', { FLUX_SSH_RCMD: '/opt/flux' }, ['ssh', 'far', '/opt/flux', 'relay', '/run/x']],
  [
    'far/run/x',
    { FLUX_SSH_RCMD: '/opt/flux', LD_LIBRARY_PATH: '/opt/lib' },
    ['ssh', 'far', 'env', 'LD_LIBRARY_PATH=/opt/lib', '/opt/flux', 'relay', '/run/x'],
  ],
] as const) {
  test(`ssh://${address} ${JSON.stringify(environment)}`, () => {
    assert.deepEqual(sshCommand(address, environment), command);
  });
}

for (const address of ['', 'far', 'far/', '/run/x', 'a@b@c/x', 'far:port/x', 'far/x?y', '-oProxyCommand=x/run']) {
  test(`ssh://${address} is refused`, () => throwsCode(() => sshCommand(address, {}), 'EINVAL', /does not name/));
}

test('a socket that goes without a word is refused', async () => {
  const socket = new net.Socket();
  const welcome = awaitWelcome(socket, 'nobody', { onMessage: () => {}, onClose: () => {} });
  socket.destroy();
  await refused(welcome, 'ECONNRESET', /nobody closed the connection/);
});
