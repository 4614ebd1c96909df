/**
 * Takes a broker through its states: what each state does, and what it waits for. The states themselves, and what leads
 * from one to the next, are tables in `state-machine.ts`.
 */

import { FluxError } from '../errno.ts';
import { formatDuration } from '../formats/duration.ts';
import { Hostlist } from '../formats/hostlist.ts';
import { IdSet } from '../formats/idset.ts';
import { untilEnd } from '../handle/rpc.ts';
import { Flag, NODEID_UPSTREAM } from '../message/message.ts';
import type { Broker } from './broker.ts';
import { type LifecycleSettings, lifecycleSettings } from './lifecycle-settings.ts';
import type { RcPrograms } from './rc.ts';
import type { Timer } from './service.ts';
import {
  eventFromLostParent,
  eventFromParent,
  nextState,
  type State,
  type StateEvent,
  stateNumber,
  states,
} from './state-machine.ts';

/** What the states do outside of this broker. */
export interface LifecycleActions {
  loadBuiltins(): Promise<void>;
  /** A follower takes the configuration of its parent, and from then on each that follows. */
  syncConfig(): Promise<void>;
  unloadBuiltins(): Promise<void>;
  /** The state has changed; the overlay joins, waits for its children and leaves as it does. */
  stateChanged(state: State): void;
  /** The rank has reached `exit`. */
  exited(exitCode: number): void;
}

/** Seconds to wait for a client of `flux shutdown` to go before the last state but one ends. */
const GOODBYE_TIMEOUT = 60;

/** What runs in a state, and ends before anything else when a signal comes. */
const statePrograms: Partial<Record<State, string>> = {
  init: 'rc1',
  run: 'rc2',
  cleanup: 'cleanup',
  finalize: 'rc3',
};

/** What a signal leads to in a state in which nothing runs. */
const endingEvents: Partial<Record<State, StateEvent>> = {
  join: 'parent-fail',
  'config-sync': 'sync-fail',
  quorum: 'quorum-fail',
  run: 'shutdown',
};

export class Lifecycle {
  readonly #broker: Broker;
  readonly #programs: RcPrograms;
  readonly #actions: LifecycleActions;
  readonly #settings: LifecycleSettings;
  readonly #listeners = new Set<(state: State) => void>();
  #state: State = 'load-builtins';
  #since: number;
  #queue: StateEvent[] = [];
  #draining = false;
  #parentState: State | undefined;
  #parentLost = false;
  #isParentAway = false;
  // How often the parent's state was asked for; what ends an earlier stream of it means nothing.
  #monitors = 0;
  #online = IdSet.empty;
  #expedite = false;
  // A signal or a panic that came before there was anything to end.
  #earlySignal: number | undefined;
  #hasFailedEarly = false;
  #timers: Timer[] = [];
  exitCode = 0;

  /** @throws FluxError EINVAL: an attribute that says how does not parse */
  constructor(broker: Broker, programs: RcPrograms, actions: LifecycleActions) {
    this.#broker = broker;
    this.#programs = programs;
    this.#actions = actions;
    this.#since = broker.world.clock.monotonic();
    this.#settings = lifecycleSettings((name) => broker.attributes.get(name), broker.size);
  }

  get state(): State {
    return this.#state;
  }

  /** Seconds in this state. */
  get duration(): number {
    return this.#broker.world.clock.monotonic() - this.#since;
  }

  /** Calls back at each change of state; returns what ends that. */
  onState(listener: (state: State) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  // ---- events

  start(): void {
    this.#enter();
  }

  /** Posts an event; it is taken up after what is going on now. */
  post(event: StateEvent): void {
    this.#queue.push(event);
    if (this.#draining) return;
    this.#draining = true;
    queueMicrotask(() => this.#drain());
  }

  #drain(): void {
    for (let event = this.#queue.shift(); event; event = this.#queue.shift()) this.#take(event);
    this.#draining = false;
  }

  #take(event: StateEvent): void {
    const next = nextState(this.#state, event);
    if (!next) {
      this.#broker.log('debug', `${event}: ignored in ${this.#state}`);
      return;
    }
    this.#broker.log('info', `${event}: ${this.#state}->${next} ${formatDuration(this.duration)}`);
    this.#state = next;
    this.#since = this.#broker.world.clock.monotonic();
    this.#enter();
  }

  #enter(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers = [];
    this.#actions.stateChanged(this.#state);
    this.#perform();
    for (const listener of [...this.#listeners]) listener(this.#state);
  }

  #perform(): void {
    switch (this.#state) {
      case 'load-builtins':
        void this.#loadBuiltins();
        return;
      case 'join':
        if (this.#earlySignal !== undefined) this.signal(this.#earlySignal);
        else if (this.#hasFailedEarly) this.post('parent-fail');
        else if (this.#broker.rank === 0) this.post('parent-none');
        else if (this.#parentLost) this.#checkParent();
        else void this.#monitorParent();
        return;
      case 'config-sync':
        if (this.#broker.rank === 0) this.post('sync-none');
        else void this.#syncConfig();
        return;
      case 'init':
        void this.#runProgram('rc1');
        return;
      case 'quorum':
        void this.#joinQuorum();
        return;
      case 'run':
        this.#enterRun();
        return;
      case 'cleanup':
        void this.#runProgram('cleanup');
        if (this.#expedite && this.#settings.cleanup !== undefined)
          this.#after(this.#settings.cleanup, () => this.#programs.abort('cleanup'));
        return;
      case 'shutdown':
        this.#enterShutdown();
        return;
      case 'finalize':
        void this.#runProgram('rc3');
        return;
      case 'goodbye':
        this.#after(GOODBYE_TIMEOUT, () => {
          this.#broker.log('err', `goodbye timeout after ${GOODBYE_TIMEOUT.toFixed(1)}s`);
          this.post('goodbye');
        });
        return;
      case 'unload-builtins':
        void this.#unloadBuiltins();
        return;
      case 'exit':
        this.#actions.exited(this.exitCode);
        return;
      default:
        this.#state satisfies never;
    }
  }

  #after(seconds: number, callback: () => void): void {
    this.#timers.push(this.#broker.world.clock.after(seconds, callback));
  }

  // ---- states

  async #loadBuiltins(): Promise<void> {
    try {
      await this.#actions.loadBuiltins();
      this.post('builtins-success');
    } catch (error) {
      this.#broker.log('err', `error loading builtins: ${(error as Error).message}`);
      this.exitCode = this.#failureCode(1);
      this.post('builtins-fail');
    }
  }

  async #syncConfig(): Promise<void> {
    try {
      await this.#actions.syncConfig();
      this.post('sync-success');
    } catch (error) {
      if (this.#isParentAway) return;
      this.#broker.log('err', `cannot get the parent's configuration: ${(error as Error).message}`);
      this.post('sync-fail');
    }
  }

  async #unloadBuiltins(): Promise<void> {
    const timeout = this.#settings.unloadBuiltins;
    if (timeout !== undefined) {
      this.#after(timeout, () => {
        this.#broker.log('err', `unloading built-in broker modules timed out after ${timeout.toFixed(1)}s`);
        this.post('builtins-unload-fail');
      });
    }
    try {
      await this.#actions.unloadBuiltins();
      this.post('builtins-done');
    } catch (error) {
      this.#broker.log('err', `unload builtins: ${(error as Error).message}`);
      this.post('builtins-unload-fail');
    }
  }

  async #runProgram(name: 'rc1' | 'rc2' | 'cleanup' | 'rc3'): Promise<void> {
    if (!this.#programs.has(name)) {
      this.post(`${name}-none`);
      return;
    }
    const code = await this.#programs.run(name);
    if (code === 0) {
      this.post(`${name}-success`);
      return;
    }
    if (name === 'rc1') {
      const recovering = this.#broker.attributes.has('broker.recovery-mode');
      // A panic that has ended it has said so already.
      if (!recovering && this.exitCode === 0) this.exitCode = this.#failureCode(code);
      this.post(recovering ? 'rc1-ignorefail' : 'rc1-fail');
      return;
    }
    if (this.exitCode === 0) this.exitCode = code;
    this.post(`${name}-fail`);
  }

  async #joinQuorum(): Promise<void> {
    try {
      if (this.#broker.rank === 0) void this.#awaitQuorum();
      else this.#checkParent();
      await this.#broker.rpc('groups.join', { name: 'broker.online' });
    } catch (error) {
      this.#broker.log('err', `cannot join broker.online: ${(error as Error).message}`);
      this.post('quorum-fail');
    }
  }

  async #awaitQuorum(): Promise<void> {
    this.#warnOfQuorum();
    const members = this.#broker.request('groups.get', { name: 'broker.online' }, { flags: Flag.streaming });
    await untilEnd(members, (response) => this.#onlineChanged(IdSet.parse(response.unpack({ members: 's' }).members)));
    if (this.#state === 'quorum') this.post('quorum-fail');
  }

  #onlineChanged(online: IdSet): void {
    const lost = this.#online.difference(online);
    this.#online = online;
    if (this.#state === 'quorum' && online.count >= this.#settings.quorumSize) {
      this.#broker.log('info', `online: ${this.#hosts(online)} (ranks ${online.encode()})`);
      this.post('quorum-full');
    }
    if (lost.count && (this.#state === 'quorum' || this.#state === 'run'))
      this.#broker.log('err', `dead to Flux: ${this.#hosts(lost)} (rank ${lost.encode()})`);
  }

  #warnOfQuorum(): void {
    const period = this.#settings.quorumWarn;
    if (!period) return;
    this.#after(period, () => {
      const missing = IdSet.range(0, this.#broker.size - 1).difference(this.#online);
      this.#broker.log('err', `quorum delayed: waiting for ${this.#hosts(missing)} (rank ${missing.encode()})`);
      this.#warnOfQuorum();
    });
  }

  #hosts(ranks: IdSet): string {
    const hosts = Hostlist.parse(this.#broker.attributes.get('hostlist') ?? '');
    return hosts.pick(ranks).encode();
  }

  #enterRun(): void {
    if (this.#programs.has('rc2')) {
      if (this.#broker.attributes.has('broker.recovery-mode') && this.#programs.isInteractive('rc2'))
        this.#broker.log('notice', 'entering recovery mode');
      void this.#runProgram('rc2');
    } else if (this.#broker.rank > 0) this.#checkParent();
    else this.post('rc2-none');
  }

  #enterShutdown(): void {
    const { shutdownWarn, shutdown } = this.#settings;
    const warn = () => {
      const waiting = IdSet.from(
        [...this.#broker.children.values()].filter((peer) => peer.isOnline).map((peer) => peer.rank),
      );
      this.#broker.log(
        'err',
        `shutdown delayed: waiting for ${waiting.count} peers: ${this.#hosts(waiting)} (rank ${waiting.encode()})`,
      );
      this.#after(shutdownWarn!, warn);
    };
    if (shutdownWarn) this.#after(shutdownWarn, warn);
    if (shutdown !== undefined && this.#broker.rank === 0) {
      this.#after(shutdown, () => {
        this.#broker.log('err', 'shutdown timeout');
        this.post('children-complete');
      });
    }
  }

  // ---- the parent's state

  async #monitorParent(): Promise<void> {
    if (this.#isParentAway) return;
    const monitor = ++this.#monitors;
    const final = stateNumber('shutdown');
    const responses = this.#broker.request(
      'state-machine.monitor',
      { final },
      { nodeid: NODEID_UPSTREAM, flags: Flag.streaming },
    );
    const end = await untilEnd(responses, (response) => {
      if (monitor !== this.#monitors) return;
      this.#parentState = states[response.unpack({ state: 'i' }).state];
      this.#checkParent();
    });
    if (end.code !== 'ENODATA' && monitor === this.#monitors) this.parentLost(end.message);
  }

  /** The link to the parent is gone, and another one may take its place. */
  parentAway(): void {
    this.#isParentAway = true;
    this.#monitors++;
  }

  /** There is a parent again. */
  parentBack(): void {
    this.#isParentAway = false;
    if (this.#state === 'config-sync') void this.#syncConfig();
    if (stateNumber(this.#state) >= stateNumber('join') && stateNumber(this.#state) < stateNumber('shutdown'))
      void this.#monitorParent();
  }

  /** The link to the parent is gone. */
  parentLost(why: string): void {
    if (this.#parentLost) return;
    this.#parentLost = true;
    if (this.#isParentAway && this.#state === 'config-sync') this.post('sync-fail');
    this.#isParentAway = false;
    if (eventFromLostParent(this.#state)) this.#broker.log('err', `lost parent: ${why}`);
    this.#checkParent();
  }

  #checkParent(): void {
    if (this.#broker.rank === 0) return;
    const event = this.#parentLost
      ? eventFromLostParent(this.#state)
      : this.#parentState && eventFromParent(this.#state, this.#parentState);
    if (event) this.post(event);
  }

  // ---- the end

  /** A signal to the broker: ends what it is doing, and then itself. */
  signal(signum: number): void {
    this.#broker.log('info', `signal ${signum}`);
    this.#expedite = true;
    const event = endingEvents[this.#state];
    if (this.abortProgram()) return;
    if (event) this.post(event);
    else if (this.#state === 'load-builtins') this.#earlySignal = signum;
    else this.#broker.log('info', `ignored signal ${signum} in ${this.#state}`);
  }

  /** Ends what is run at this point of the broker's life; false when there is nothing. */
  abortProgram(): boolean {
    const program = statePrograms[this.#state];
    if (!program || !this.#programs.has(program)) return false;
    this.#programs.abort(program);
    return true;
  }

  /**
   * Starts an orderly end of the instance.
   *
   * @throws FluxError EINVAL: not rank 0, or not running
   */
  shutdown(): void {
    if (this.#state !== 'run') throw new FluxError('EINVAL', `shutdown cannot be initiated in state ${this.#state}`);
    if (this.#broker.rank !== 0) throw new FluxError('EINVAL', 'shutdown may only be initiated on rank 0');
    this.exitCode = this.#failureCode(this.exitCode);
    if (this.#programs.has('rc2')) this.#programs.abort('rc2');
    else this.post('shutdown');
  }

  /** Something went wrong that the instance can't go on with; the reason is logged by who calls. */
  panic(exitCode = 1): void {
    this.exitCode = this.#failureCode(exitCode);
    if (this.#state === 'init' && this.#programs.has('rc1')) this.#programs.abort('rc1');
    else if (this.#state === 'run' && this.#programs.has('rc2')) this.#programs.abort('rc2');
    else if (this.#state === 'load-builtins') this.#hasFailedEarly = true;
    else this.post('panic');
  }

  /** broker.exit-norestart tells a service manager not to start the broker again. */
  #failureCode(code: number): number {
    const norestart = Number(this.#broker.attributes.get('broker.exit-norestart'));
    return norestart >= 1 ? norestart : code;
  }
}
