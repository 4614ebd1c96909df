// The links of a process to its neighbours, over wires that only note what is sent. test/sim has them all together.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeWelcome, encodeGoodbye, encodeHello, encodeWelcome } from '../../../core/node/hello.ts';
import { NodeLinks, type NodeLinksHost } from '../../../core/node/node-links.ts';
import type { ServerEvents, Wire, WireEvents } from '../../../core/node/wires.ts';
import {
  decodeResend,
  encodeEventFrame,
  encodeRecords,
  eventSequence,
  FrameType,
  frameType,
} from '../../../core/overlay/node-frames.ts';
import { refused, throwsCode } from '../../errors.ts';
import { Agenda } from '../../sim/agenda.ts';

const machine = { hostname: 'h', cores: 1, gpus: 0 };
/** Seconds that a process looks for others. */
const TIMEOUT = 5;

/** The other end of a connection. */
class FarEnd implements Wire {
  readonly frames: Buffer[] = [];
  events: WireEvents | undefined;

  send(frame: Buffer): void {
    this.frames.push(frame);
  }

  close(): void {
    this.events = undefined;
  }

  get types(): number[] {
    return this.frames.map(frameType);
  }

  /** Takes this process in, after an event. */
  welcome(sequence: number, firstKept: number): void {
    this.events!.onFrame(encodeWelcome({ sequence, firstKept, uris: new Map() }));
  }

  /** Sends events. */
  publish(first: number, last: number): void {
    for (let sequence = first; sequence <= last; sequence++)
      this.events!.onFrame(encodeEventFrame(sequence, Buffer.alloc(1)));
  }

  /** The first events that it is asked for. */
  get asked(): number[] {
    return this.frames
      .filter((frame) => frameType(frame) === FrameType.resend)
      .map((frame) => decodeResend(frame).first);
  }
}

/** Process 2 of four, each with a rank of the same number, which connects to some of the others. */
class Process {
  readonly agenda = new Agenda();
  readonly connections = new Map<number, FarEnd>();
  readonly lost: string[] = [];
  /** What its ranks got: events and records. */
  readonly events: number[] = [];
  records = 0;
  readonly links: NodeLinks;
  #server: ServerEvents | undefined;

  /** @param source of those above: the one that events come from at first */
  constructor(above: readonly number[], source: number, rewireTimeout: number | undefined) {
    const ranks = [0, 1, 2, 3];
    const host: NodeLinksHost = {
      clock: this.agenda.clock('process'),
      instanceId: 'i',
      processId: 'p',
      rewireTimeout,
      placement: { own: 2, nodes: ranks.map((rank) => ({ ranks: String(rank) })) },
      nodeOfRank: Int32Array.from(ranks),
      parentNode: source,
      keepAlive: 100,
      timeout: 100,
      deliver: () => {
        this.records++;
      },
      deliverEvent: (frame) => this.events.push(eventSequence(frame)),
      release: () => {},
      isCongested: () => false,
      setHeldUp: () => {},
      setStuck: () => {},
      joined: () => {},
      lost: (node, why) => this.lost.push(`${node}: ${why}`),
      setReader: () => {},
      note: () => {},
      log: () => {},
    };
    const wires = {
      serve: (server: ServerEvents) => {
        this.#server = server;
      },
      connect: (uri: string, events: WireEvents) => {
        const end = new FarEnd();
        end.events = events;
        this.connections.set(Number(uri), end);
        return end;
      },
      follow: () => {},
      publish: () => {},
      close: () => {},
    };
    const uris = new Map(above.map((node) => [node, String(node)]));
    this.links = new NodeLinks(host, { wires, uris, otherUris: new Map([[0, '0']]), machine });
    this.links.start();
  }

  above(node: number): FarEnd {
    return this.connections.get(node)!;
  }

  /** Process 3 connects. */
  below(): FarEnd {
    const end = new FarEnd();
    end.events = this.#server!.accept(end);
    end.events.onFrame(encodeHello({ instance: 'i', node: 3, ranks: '3', process: 'q', events: true }, machine));
    return end;
  }

  pass(seconds: number): void {
    const end = this.agenda.time + seconds;
    while (this.agenda.nextTime <= end) this.agenda.step();
    this.agenda.skipTo(end);
  }
}

function joined(): { process: Process; parent: FarEnd } {
  const process = new Process([0], 0, undefined);
  const parent = process.above(0);
  parent.welcome(0, 1);
  return { process, parent };
}

test('who says goodbye gets nothing more: it would wait until nobody comes', () => {
  const { process, parent } = joined();
  parent.events!.onFrame(encodeGoodbye('process 0 has ended'));
  assert.deepEqual(process.lost, ['0: process 0 has ended']);
  assert.deepEqual(parent.types, [FrameType.hello]);
});

test('who is lost in another way is told so', () => {
  const { parent } = joined();
  parent.events!.onLost('the connection broke');
  assert.deepEqual(parent.types, [FrameType.hello, FrameType.goodbye]);
});

test('who misses events that nobody has any more leaves: its ranks lose their parents, and reach none', async () => {
  const process = new Process([1], 1, TIMEOUT);
  process.above(1).welcome(0, 1);
  process.above(1).publish(1, 2);
  const below = process.below();
  process.above(1).events!.onLost('the connection broke');
  for (const node of [1, 0]) {
    const reached = process.links.reach(node, String(node));
    process.above(node).welcome(20_000, 12_000);
    await reached;
    process.above(node).publish(20_001, 20_002);
    const record = { to: 2, from: node, source: Buffer.alloc(1), start: 0, end: 1 };
    process.above(node).events!.onFrame(encodeRecords(20_002, [record], 1));
  }
  process.pass(TIMEOUT + 1);
  const why = 'no process brings the events after 2';
  assert.deepEqual(process.lost, ['1: the connection broke', `3: ${why}`, `1: ${why}`, `0: ${why}`]);
  for (const end of [below, process.above(1), process.above(0)]) assert.equal(end.types.at(-1), FrameType.goodbye);
  assert.deepEqual([process.events, process.records], [[1, 2], 0]);
  await refused(process.links.reach(0), 'EHOSTUNREACH', /shutting down/);
  throwsCode(() => decodeWelcome(process.below().frames[0]!), 'EPERM', /shutting down/);
});

test('one that came later brings events once this process has those that it lacks', () => {
  const process = new Process([0, 1], 0, TIMEOUT);
  process.above(0).welcome(5, 1);
  process.above(1).welcome(7, 8);
  process.above(0).publish(6, 9);
  process.above(0).events!.onLost('the connection broke');
  assert.deepEqual(process.above(1).asked, [10]);
  process.above(1).publish(9, 11);
  process.pass(TIMEOUT + 1);
  assert.deepEqual(process.events, [6, 7, 8, 9, 10, 11]);
  assert.deepEqual(process.lost, ['0: the connection broke']);
});

test('where those above that are left lack events, the process of rank 0 brings them', () => {
  const process = new Process([1, 3], 1, TIMEOUT);
  process.above(1).welcome(5, 1);
  process.above(3).welcome(7, 8);
  process.above(1).events!.onLost('the connection broke');
  process.above(0).welcome(9, 1);
  assert.deepEqual([process.above(0).asked, process.above(3).asked], [[6], []]);
  process.above(0).publish(6, 9);
  process.pass(TIMEOUT + 1);
  assert.deepEqual(process.events, [6, 7, 8, 9]);
  assert.deepEqual(process.lost, ['1: the connection broke']);
});
