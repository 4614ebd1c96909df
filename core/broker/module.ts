/**
 * A loaded module as its broker sees it (RFC 5): a port that messages go to and come from, wherever the module runs.
 */

import { FluxError } from '../errno.ts';
import { AskedServices } from '../handle/asked-services.ts';
import type { Tracer } from '../handle/trace.ts';
import { RpcTracker } from '../handle/tracker.ts';
import { type Credentials, Role } from '../message/credentials.ts';
import { type Message, MessageType } from '../message/message.ts';
import type { Broker, Port } from './broker.ts';
import type { Subscriber } from './event-bus.ts';
import { isForOthers } from './relay.ts';

/** States of a module, as numbers on the wire (RFC 5, Status Request). */
export const ModuleStatus = { init: 0, running: 1, finalizing: 2, exited: 3 } as const;
export type ModuleStatus = (typeof ModuleStatus)[keyof typeof ModuleStatus];

/** Where a module runs. */
export interface ModuleRuntime {
  /** Hands it a message. */
  send(message: Message): void;
  /** Ends it at once, without asking it. */
  kill(): void;
  /** Whether so much waits for it that it is to get no more. */
  readonly isFull?: () => boolean;
}

export interface ModuleIdentity {
  readonly name: string;
  /** The file it comes from, or its name when it is part of the broker. */
  readonly path: string;
  readonly args: readonly string[];
  /** Whether its messages can be lost with the thread or process it runs in. */
  readonly isRemote: boolean;
  /** Whether it answers for itself alone (`relay.ts`). */
  readonly isRelay: boolean;
}

export class Module implements Port, Subscriber {
  readonly name: string;
  readonly path: string;
  readonly args: readonly string[];
  readonly uuid: string;
  readonly credentials: Credentials;
  readonly #broker: Broker;
  readonly #tracer: Tracer;
  readonly #isRelay: boolean;
  // Requests that a remote module has not answered.
  readonly #tracker: RpcTracker | undefined;
  // Made when first needed: most modules of most ranks ask nobody.
  #asked: AskedServices | undefined;
  #runtime: ModuleRuntime | undefined;
  // What it is sent before its thread or process is there.
  #early: Message[] | undefined;
  #isKilled = false;
  #deferred: Message[] | undefined;
  status: ModuleStatus = ModuleStatus.init;
  /** When it last sent something, seconds of the monotonic clock. */
  lastSeen: number;

  /** `tracer` sees the messages from and to the module. */
  constructor(identity: ModuleIdentity, broker: Broker, tracer: Tracer) {
    this.name = identity.name;
    this.path = identity.path;
    this.args = identity.args;
    this.#isRelay = identity.isRelay;
    this.uuid = broker.world.random.uuid();
    this.credentials = { userid: broker.owner, rolemask: Role.owner };
    this.#broker = broker;
    this.#tracer = tracer;
    this.#tracker = identity.isRemote ? new RpcTracker() : undefined;
    this.lastSeen = broker.world.clock.monotonic();
  }

  get rank(): number {
    return this.#broker.rank;
  }

  get isOnline(): boolean {
    return this.#broker.isOnline;
  }

  /** Messages that wait to be handed to the module. */
  get receiveQueue(): number {
    return this.#deferred?.length ?? 0;
  }

  /** Its thread or process is there, and gets what was sent to it in the meantime. */
  attach(runtime: ModuleRuntime): void {
    this.#runtime = runtime;
    const early = this.#early ?? [];
    this.#early = undefined;
    if (this.#isKilled) runtime.kill();
    else for (const message of early) runtime.send(message);
  }

  /** Whether a request is for the module; a relay's others go on towards the root. */
  takes(request: Message): boolean {
    if (!this.#isRelay || !isForOthers(request)) return true;
    if (!this.#tracer.isIdle) this.#tracer.module('rx', this.name, request);
    return false;
  }

  /** Hands a message to the module; one that is on its way out gets no more requests. */
  send(message: Message): void {
    if (!this.#tracer.isIdle) this.#tracer.module('rx', this.name, message);
    if (message.type === MessageType.request) {
      if (this.status >= ModuleStatus.finalizing) {
        this.#refuse(message, new FluxError('ENOSYS', `module ${this.name} is being removed`));
        return;
      }
    }
    if (this.#runtime?.isFull?.()) {
      this.#takeNoMore(message);
      return;
    }
    if (this.#deferred) {
      this.#deferred.push(message);
      return;
    }
    this.#handOver(message);
  }

  #handOver(message: Message): void {
    this.#tracker?.sent(message);
    if (this.#runtime) this.#runtime.send(message);
    else {
      this.#early ??= [];
      this.#early.push(message);
    }
  }

  /** Requests can be refused; a module that misses anything else is of no use any more, and is ended. */
  #takeNoMore(message: Message): void {
    if (message.type === MessageType.request) {
      this.#refuse(message, new FluxError('EAGAIN', `module ${this.name} does not take the requests that it has`));
      return;
    }
    if (this.#isKilled) return;
    this.#broker.log('err', `module ${this.name} does not take what it is sent: it is ended`);
    this.kill();
  }

  #refuse(request: Message, error: FluxError): void {
    // The broker's own id was pushed for the module, who will not pop it.
    request.routes.pop();
    this.#broker.failRequest(request, error);
  }

  deliver(event: Message): void {
    this.send(event);
  }

  /** Takes a message from the module. */
  receive(message: Message): void {
    this.lastSeen = this.#broker.world.clock.monotonic();
    if (message.type === MessageType.response) this.#tracker?.answered(message);
    else if (message.type === MessageType.request && message.wantsResponse) {
      this.#asked ??= new AskedServices();
      this.#asked.note(message);
    }
    if (!this.#tracer.isIdle) this.#tracer.module('tx', this.name, message);
    this.#broker.receive(message, this);
  }

  /** Holds messages to the module back, to see how others take that, or hands them over again. */
  defer(on: boolean): void {
    if (on) {
      this.#deferred ??= [];
      return;
    }
    const deferred = this.#deferred ?? [];
    this.#deferred = undefined;
    for (const message of deferred) this.#handOver(message);
  }

  kill(): void {
    this.#isKilled = true;
    this.#runtime?.kill();
  }

  /** What tells those whom it has asked that it is gone (RFC 6, Disconnection). */
  disconnectRequests(): Message[] {
    return this.#asked?.disconnectRequests(this.credentials) ?? [];
  }

  /** Takes what the module has not answered and never will. */
  takeUnanswered(): Message[] {
    const requests = [
      ...(this.#tracker?.takeAll() ?? []),
      ...(this.#deferred ?? []).filter((message) => message.type === MessageType.request),
    ];
    for (const request of requests) request.routes.pop();
    return requests;
  }
}
