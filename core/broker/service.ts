/**
 * What a service is and what it may touch.
 *
 * A service reaches the world through its context and through nothing else, so the same code runs inside an engine
 * worker, in a thread or process of its own, and in a simulation.
 */

import type { Process, ProcessEvents, ProcessSpec } from '../../native/process.ts';
import type { Methods } from '../handle/methods.ts';
import type { Responses, RpcOptions } from '../handle/rpc.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import type { Message, Payload } from '../message/message.ts';
import type { Severity } from './log-format.ts';

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Seconds since the epoch. */
  now(): number;
  /** Seconds since some fixed moment; never goes back. */
  monotonic(): number;
  /** Calls back once, `seconds` from now. */
  after(seconds: number, callback: () => void): Timer;
}

export interface Random {
  uuid(): string;
  /** A number from 0 up to, not including, 1. */
  number(): number;
}

export interface SpawnEvents extends ProcessEvents {
  /** A signal has stopped the process. */
  stopped?(): void;
}

/** Starts a program; throws a FluxError when that fails. */
export type Spawn = (spec: ProcessSpec, events: SpawnEvents) => Process;

/**
 * As `Spawn`, without keeping the thread waiting until the program runs; rejects with the FluxError. Descriptors that the
 * spec names stay open until then. No event comes before what awaits it has gone on.
 */
export type SpawnSoon = (spec: ProcessSpec, events: ProcessEvents) => Promise<Process>;

export interface ServiceContext {
  /** The module's name, which is the name of its service. */
  readonly name: string;
  readonly uuid: string;
  readonly rank: number;
  readonly size: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly spawn: Spawn;
  readonly spawnSoon: SpawnSoon;
  /** The instance's configuration now. */
  readonly config: JsonObject;
  /** A broker attribute of this rank; undefined when it is not set. */
  attribute(name: string): string | undefined;
  /** Asks and resolves to the JSON payload of the answer; rejects with its FluxError. */
  rpc(topic: string, payload?: Payload, options?: RpcOptions): Promise<JsonValue | undefined>;
  /** Sends a request and gives all its responses, errors too. */
  request(topic: string, payload?: Payload, options?: RpcOptions): Responses;
  /**
   * Sends a request without a matchtag, for protocols that find the request of a response by its payload (RFC 27, RFC 32):
   * its responses come to the service's `takeResponse`.
   */
  sendUntagged(topic: string, payload?: Payload): void;
  /** Sends a request that gets no response. */
  notify(topic: string, payload?: Payload, options?: RpcOptions): void;
  /** Publishes an event; resolves once it has its sequence number. */
  publish(topic: string, payload?: Payload, options?: { readonly private?: boolean }): Promise<void>;
  /** Publishes an event as a message, which costs less; from a rank that is cut off from rank 0 it goes nowhere. */
  sendEvent(topic: string, payload?: Payload, options?: { readonly private?: boolean }): void;
  /** Calls back for each event whose topic begins with `prefix`. */
  subscribe(prefix: string, callback: (event: Message) => void): void;
  /** Takes back one `subscribe` with these arguments. */
  unsubscribe(prefix: string, callback: (event: Message) => void): void;
  log(severity: Severity, text: string): void;
}

export interface Service {
  /** Methods by name; those every module has (ping, stats-get, …) may be replaced here. */
  readonly methods?: Methods;
  /** Names it answers for beside its own. */
  readonly services?: readonly string[];
  /** What `stats-get` answers instead of message counts. */
  stats?(): JsonObject;
  clearStats?(): void;
  /**
   * Takes a new configuration.
   *
   * @throws FluxError EINVAL with a sentence when it will not; the old one then stays
   */
  configure?(config: JsonObject): void;
  /** Takes a response to a request that was sent without a matchtag. */
  takeResponse?(response: Message): void;
  /** Ends it; nothing is called afterwards. */
  stop?(): void | Promise<void>;
}

/** What the file of a module exports by default. */
export interface ModuleDefinition {
  /**
   * Starts the service.
   *
   * @throws FluxError when it can't run with these arguments or this configuration; the module is then not loaded
   */
  start(context: ServiceContext, args: readonly string[]): Service | Promise<Service>;
}
