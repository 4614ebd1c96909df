/**
 * ZeroMQ between the processes of an instance: a ROUTER that others connect to with a DEALER each, and the feed of events,
 * PUB to SUB. All of it is encrypted by CURVE with the instance's certificate (ZeroMQ RFC 25, 26), and ZAP (RFC 27) lets in
 * nobody who has another one.
 */

import { createRequire } from 'node:module';
import type * as ZeroMq from 'zeromq';
import { asFluxError, FluxError } from '../errno.ts';
import type { Certificate } from '../formats/certificate.ts';
import { encodeZ85 } from '../formats/z85.ts';
import { clock } from './clock.ts';
import { checkReplaceable } from './listen.ts';
import type { ServerEvents, Wire, WireEvents, Wires } from './wires.ts';

export interface WireSettings {
  readonly certificate: Pick<Certificate, 'publicKey' | 'secretKey'>;
  /** Seconds without a sign of the other side after which a connection is lost (tbon.tcp_user_timeout). */
  readonly timeout: number;
  /** Seconds in which it has to be there (tbon.connect_timeout); 0: any time. */
  readonly connectTimeout: number;
  /** Whether addresses may be of IPv6. */
  readonly ipv6?: boolean;
  readonly log: (text: string) => void;
}

/** Milliseconds that the last frames have to leave, when the sockets close. */
const LINGER = 2000;
/** Milliseconds after a connection broke in which what came before is read. */
const LAST_FRAMES = 20;
const DOMAIN = 'flux';
const ZAP_ENDPOINT = 'inproc://zeromq.zap.01';
/** A broken connection is seen when something is sent on it, a moment after it broke. */
const PROBES = [0, 50, 250, 1000];

// It has a native part: only instances of several processes load it.
const load = (): typeof ZeroMq => createRequire(import.meta.url)('zeromq') as typeof ZeroMq;

export class ZmqWires implements Wires {
  readonly #zmq = load();
  readonly #settings: WireSettings;
  readonly #common: { readonly ipv6: boolean };
  readonly #keys: { readonly publicKey: string; readonly secretKey: string };
  #zap: ZeroMq.Reply | undefined;
  #router: ZeroMq.Router | undefined;
  #publisher: ZeroMq.XPublisher | undefined;
  readonly #accepted = new Map<string, AcceptedWire>();
  readonly #connected = new Set<ConnectedWire>();
  readonly #subscribers = new Set<ZeroMq.Subscriber>();

  constructor(settings: WireSettings) {
    this.#settings = settings;
    this.#common = { ipv6: settings.ipv6 ?? false };
    const { publicKey, secretKey } = settings.certificate;
    this.#keys = { publicKey: encodeZ85(publicKey), secretKey: encodeZ85(secretKey) };
  }

  // ---- who connects to this process

  /**
   * Lets other processes connect.
   *
   * @param uri `tcp://ADDRESS:*` for any free port, or `ipc://PATH`
   * @returns where it is
   * @throws FluxError what binding fails with; all sockets are closed then
   */
  async bind(uri: string): Promise<string> {
    await this.#admit();
    this.#router = new this.#zmq.Router({ ...this.#serverOptions(), mandatory: true });
    return this.#bindTo(this.#router, uri);
  }

  serve({ accept, probe, subscribed }: ServerEvents): void {
    const router = this.#router;
    if (!router) return;
    const probes = () => {
      for (const delay of PROBES) setTimeout(probe, delay).unref();
    };
    watch(router, { disconnect: probes });
    if (this.#publisher)
      void readAll(this.#publisher, ([frame]) => {
        if (frame?.[0] === 1) subscribed();
      });
    void readAll(router, ([id, frame]) => {
      if (!id || !frame) return;
      const key = id.toString('latin1');
      let wire = this.#accepted.get(key);
      if (!wire) {
        wire = new AcceptedWire(router, id, () => this.#accepted.delete(key));
        this.#accepted.set(key, wire);
        wire.events = accept(wire);
      }
      wire.events?.onFrame(frame);
    });
  }

  #serverOptions() {
    const { timeout, connectTimeout } = this.#settings;
    return {
      ...unlimited,
      ...this.#common,
      ...heartbeats(timeout),
      handshakeInterval: milliseconds(connectTimeout),
      curveServer: true,
      curvePublicKey: this.#keys.publicKey,
      curveSecretKey: this.#keys.secretKey,
      zapDomain: DOMAIN,
    };
  }

  async #bindTo(socket: ZeroMq.Router | ZeroMq.XPublisher, uri: string): Promise<string> {
    try {
      // ZeroMQ removes whatever is there.
      const [, path] = /^ipc:\/\/([^@].*)$/.exec(uri) ?? [];
      if (path !== undefined) await checkReplaceable(path);
      await socket.bind(uri);
    } catch (error) {
      this.close();
      // Who goes on without being connected to may still connect.
      this.#router = undefined;
      this.#zap = undefined;
      throw new FluxError(asFluxError(error).errno, `cannot bind to ${uri}: ${(error as Error).message}`);
    }
    return socket.lastEndpoint ?? uri;
  }

  /** Answers who may connect: whoever has the instance's certificate. */
  async #admit(): Promise<void> {
    if (this.#zap) return;
    const zap = new this.#zmq.Reply({ linger: 0 });
    this.#zap = zap;
    await zap.bind(ZAP_ENDPOINT);
    const own = Buffer.from(this.#settings.certificate.publicKey);
    void readAll(zap, ([version, id, domain, address, , mechanism, key]) => {
      const isOurs = `${domain}` === DOMAIN && `${mechanism}` === 'CURVE' && key !== undefined && own.equals(key);
      if (!isOurs) this.#settings.log(`a process at ${address} was not let in: it has another certificate`);
      const [status, text] = isOurs ? ['200', 'OK'] : ['400', 'unknown key'];
      return zap.send([version ?? '', id ?? '', status, text, '', '']);
    });
  }

  // ---- whom this process connects to

  connect(uri: string, events: WireEvents, interval?: number): Wire {
    const { timeout, connectTimeout } = this.#settings;
    const pace = interval === undefined ? {} : { reconnectInterval: interval * 1000, linger: 0 };
    const dealer = new this.#zmq.Dealer({ ...unlimited, ...heartbeats(timeout), ...this.#clientKeys(), ...pace });
    const wire = new ConnectedWire(dealer, events, () => this.#connected.delete(wire));
    this.#connected.add(wire);
    const giveUp = () => wire.lose(`${uri} is not reached in ${connectTimeout}s`);
    const timer = connectTimeout > 0 ? clock.after(connectTimeout, giveUp) : undefined;
    let isUp = false;
    watch(dealer, {
      handshake: () => {
        isUp = true;
        if (interval !== undefined) setLinger(dealer, LAST_FRAMES);
        timer?.cancel();
      },
      disconnect: () => {
        // What was not sent by now would only wait for the end.
        setLinger(dealer, 0);
        const why = isUp ? 'the connection broke' : `${uri} does not let this process in: it has another certificate`;
        setTimeout(() => wire.lose(why), LAST_FRAMES);
      },
      end: () => timer?.cancel(),
    });
    try {
      dealer.connect(uri);
    } catch (error) {
      const why = `cannot connect to ${uri}: ${(error as Error).message}`;
      queueMicrotask(() => wire.lose(why));
    }
    void readAll(dealer, ([frame]) => {
      if (frame) wire.receive(frame);
    });
    return wire;
  }

  #clientKeys() {
    return {
      ...this.#common,
      curveServerKey: this.#keys.publicKey,
      curvePublicKey: this.#keys.publicKey,
      curveSecretKey: this.#keys.secretKey,
    };
  }

  // ---- the feed

  /**
   * Lets other processes follow the feed.
   *
   * @throws FluxError what binding fails with; all sockets are closed then
   */
  async bindFeed(uri: string): Promise<string> {
    await this.#admit();
    this.#publisher = new this.#zmq.XPublisher({ ...this.#serverOptions(), verbosity: 'allSubs' });
    return this.#bindTo(this.#publisher, uri);
  }

  publish(frame: Buffer): void {
    if (this.#publisher) post(this.#publisher, frame, () => {});
  }

  follow(uri: string, onFrame: (frame: Buffer) => void, interrupted: () => void): void {
    const subscriber = new this.#zmq.Subscriber({
      receiveHighWaterMark: 0,
      linger: 0,
      ...heartbeats(this.#settings.timeout),
      ...this.#clientKeys(),
    });
    this.#subscribers.add(subscriber);
    watch(subscriber, { disconnect: interrupted });
    subscriber.subscribe();
    subscriber.connect(uri);
    void readAll(subscriber, ([frame]) => {
      if (frame) onFrame(frame);
    });
  }

  close(): void {
    for (const wire of this.#connected) wire.close();
    for (const socket of [this.#router, this.#publisher, this.#zap, ...this.#subscribers]) socket?.close();
  }
}

/**
 * No send ever waits: there is room for any, or the other side is gone. A socket that might wait does so now and then, to let
 * others have their turn, and refuses what is sent meanwhile.
 */
const prompt = { sendTimeout: 0 } as const;

function post<T>(socket: { send(message: T): Promise<void> }, message: T, failed: (error: Error) => void): void {
  try {
    socket.send(message).catch(failed);
  } catch (error) {
    failed(error as Error);
  }
}

const unlimited = { ...prompt, sendHighWaterMark: 0, receiveHighWaterMark: 0, linger: LINGER } as const;

/** A time as ZeroMQ takes it, to which 0 is no limit. */
function milliseconds(seconds: number): number {
  return seconds * 1000 < 2 ** 31 ? Math.ceil(seconds * 1000) : 0;
}

/** ZeroMQ's own threads ask and answer, so that a busy process is not taken for a dead one. */
function heartbeats(timeout: number) {
  return { heartbeatInterval: milliseconds(timeout / 4), heartbeatTimeout: milliseconds(timeout) };
}

/** Hands each message to `take` until the socket closes. */
async function readAll(
  socket: AsyncIterable<Buffer[]>,
  take: (frames: readonly (Buffer | undefined)[]) => void | Promise<void>,
): Promise<void> {
  try {
    for await (const frames of socket) await take(frames);
  } catch (error) {
    // Closed while it was read.
    if (!/closed/i.test((error as Error).message)) throw error;
  }
}

type SocketEvent = 'handshake' | 'disconnect' | 'end';

function watch(socket: ZeroMq.Socket, listeners: Partial<Record<SocketEvent, () => void>>): void {
  for (const [name, listener] of Object.entries(listeners))
    if (listener) socket.events.on(name as SocketEvent, listener);
}

/** Milliseconds that the end waits for what is to be sent. Sockets tell what happens to them late, perhaps when they are closed. */
function setLinger(socket: ZeroMq.Dealer, milliseconds: number): void {
  if (!socket.closed) socket.linger = milliseconds;
}

/** A process that has connected to this one. */
class AcceptedWire implements Wire {
  readonly #router: ZeroMq.Router;
  readonly #id: Buffer;
  readonly #gone: () => void;
  events: WireEvents | undefined;

  constructor(router: ZeroMq.Router, id: Buffer, gone: () => void) {
    this.#router = router;
    this.#id = id;
    this.#gone = gone;
  }

  send(frame: Buffer): void {
    post(this.#router, [this.#id, frame], () => {
      setTimeout(() => {
        const { events } = this;
        this.close();
        events?.onLost('the connection broke');
      }, LAST_FRAMES);
    });
  }

  close(): void {
    this.events = undefined;
    this.#gone();
  }
}

/** A process that this one has connected to. */
class ConnectedWire implements Wire {
  readonly #dealer: ZeroMq.Dealer;
  readonly #events: WireEvents;
  readonly #gone: () => void;
  #isClosed = false;

  constructor(dealer: ZeroMq.Dealer, events: WireEvents, gone: () => void) {
    this.#dealer = dealer;
    this.#events = events;
    this.#gone = gone;
  }

  send(frame: Buffer): void {
    if (!this.#isClosed) post(this.#dealer, frame, (error) => this.lose(error.message));
  }

  receive(frame: Buffer): void {
    if (!this.#isClosed) this.#events.onFrame(frame);
  }

  lose(why: string): void {
    if (this.#isClosed) return;
    this.#dealer.linger = 0;
    this.close();
    this.#events.onLost(why);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#gone();
    this.#dealer.close();
  }
}
