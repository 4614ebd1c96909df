// Sockets of a server that read into the same memory: each gets its own bytes, all of them, paused or not, and its end.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { shareReads } from '../../../core/node/shared-reads.ts';
import { temporaryFolder } from '../../e2e/support.ts';

const socketPath = path.join(temporaryFolder(), 'socket');
const server = net.createServer();
before(() => new Promise<void>((resolve) => void server.listen(socketPath, resolve)));
after(() => server.close());

/** A client's socket and the server's. */
async function connect(): Promise<[net.Socket, net.Socket]> {
  const accepted = once(server, 'connection') as Promise<[net.Socket]>;
  const client = net.connect(socketPath);
  const [socket] = await accepted;
  shareReads(socket);
  return [client, socket];
}

test('what several clients send comes in the same memory, and is what they sent', async () => {
  const memories = new Set<ArrayBufferLike>();
  const receive = async (client: net.Socket, socket: net.Socket, text: string) => {
    const pieces: Buffer[] = [];
    let isPaused = false;
    socket.on('data', (bytes: Buffer) => {
      assert.ok(!isPaused);
      memories.add(bytes.buffer);
      pieces.push(Buffer.from(bytes));
      if (pieces.length % 5) return;
      isPaused = true;
      socket.pause();
      setImmediate(() => {
        isPaused = false;
        socket.resume();
      });
    });
    client.resume().end(Buffer.alloc(3_000_000, text));
    await once(socket, 'end');
    assert.ok(Buffer.concat(pieces).equals(Buffer.alloc(3_000_000, text)));
  };
  const pairs = [await connect(), await connect(), await connect()];
  await Promise.all(pairs.map(([client, socket], i) => receive(client, socket, `from ${i} `)));
  assert.equal(memories.size, 1);
});
