/** A launched program in one process: clients of the simple protocol, and the server that they talk to. */

import type { Duplex } from 'node:stream';
import { SimplePmi } from '../../../core/pmi/simple-client.ts';
import { PmiServer } from '../../../core/pmi/simple-server.ts';
import { streamPair } from '../../../core/pmi/stream-pair.ts';
import { PmiLines } from '../../../core/pmi/wire.ts';

export interface Program {
  readonly clients: SimplePmi[];
  readonly server: PmiServer;
  readonly ends: Duplex[];
  readonly aborts: unknown[];
}

/** A program of so many processes, with a server. */
export async function startProgram(size: number, values: Readonly<Record<string, string>> = {}): Promise<Program> {
  const ends: Duplex[] = [];
  const aborts: unknown[] = [];
  const server = new PmiServer({
    name: 'program',
    size,
    values,
    send: (rank, line) => void ends[rank]!.write(line),
    abort: (...abort) => aborts.push(abort),
  });
  const clients = await Promise.all(
    Array.from({ length: size }, (_, rank) => {
      const [own, other] = streamPair();
      ends[rank] = other;
      const reader = new PmiLines();
      other.on('data', (chunk) => {
        for (const line of reader.take(String(chunk))) server.receive(rank, line);
      });
      return SimplePmi.open(own, rank, size);
    }),
  );
  return { clients, server, ends, aborts };
}
