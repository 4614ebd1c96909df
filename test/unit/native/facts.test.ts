/** What the addon tells of sockets, users and the process. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';
import { findUser, peerCredentials, rusage } from '../../../native/index.ts';
import { rusageFallback } from '../../../native/rusage.ts';
import { requireAddon, temporaryFolder } from './support.ts';

requireAddon();

const descriptorOf = (socket: net.Socket) => (socket as unknown as { _handle: { fd: number } })._handle.fd;

test('peer credentials of a UNIX domain socket, on both sides', async () => {
  const where = path.join(temporaryFolder(), 'socket');
  const server = net.createServer().listen(where);
  const accepted = new Promise<net.Socket>((resolve) => server.once('connection', resolve));
  const client = net.connect(where);
  const expected = { uid: process.getuid!(), gid: process.getgid!(), pid: process.pid };
  for (const socket of [await accepted, client]) assert.deepEqual(peerCredentials(descriptorOf(socket)), expected);
  client.destroy();
  (await accepted).destroy();
  server.close();
});

test('users have the names and groups that id(1) tells', () => {
  const id = (option: string, uid: number) =>
    spawnSync('id', [option, String(uid)], { encoding: 'utf8' }).stdout.trim();
  for (const uid of [0, 65534, process.getuid!()]) {
    const user = findUser(uid);
    assert.equal(user?.name, id('-un', uid));
    assert.deepEqual([...user!.groups].sort(), id('-Gn', uid).split(' ').sort());
  }
  assert.equal(findUser(4_000_000_000), undefined);
});

test('descriptors without peer credentials', async () => {
  const fd = fs.openSync('/dev/null', 'r');
  assert.throws(() => peerCredentials(fd), { code: 'ENOTSOCK' });
  fs.closeSync(fd);
  assert.throws(() => peerCredentials(fd), { code: 'EBADF', message: `descriptor ${fd} has no peer credentials` });
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  await new Promise((resolve) => client.once('connect', resolve));
  assert.throws(() => peerCredentials(descriptorOf(client)), { code: 'ENOTCONN' });
  client.destroy();
  server.close();
});

test('resource usage has the 16 fields, and the fallback the same of the process itself', () => {
  const own = rusage('self');
  const nodes = rusageFallback('self');
  assert.deepEqual(Object.keys(own), Object.keys(nodes));
  assert.equal(Object.keys(own).length, 16);
  for (const field of ['utime', 'stime', 'maxrss', 'minflt'] as const) {
    assert.ok(own[field] > 0, field);
    assert.ok(
      nodes[field] >= own[field] && nodes[field] < own[field] * 2 + 1,
      `${field} ${own[field]} ${nodes[field]}`,
    );
  }
});

test('children count once they have ended', () => {
  const before = rusage('children');
  spawnSync('sh', ['-c', 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done']);
  const after = rusage('children');
  assert.ok(after.utime > before.utime);
  assert.throws(() => rusageFallback('children'), { code: 'ENOSYS' });
  assert.throws(() => rusageFallback('thread'), { code: 'ENOSYS' });
});
