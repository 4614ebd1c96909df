/**
 * Broker attributes: named strings of one rank, with rules about who may set which when.
 */

import { FluxError } from '../errno.ts';

/** Classes of attributes, as their manual page marks them. */
const Class = {
  /** The value never changes once it is set; clients may keep it. */
  immutable: 1,
  /** Not to be set on the command line. */
  readonly: 2,
  /** May be updated while the instance runs. */
  runtime: 4,
} as const;

const { immutable, readonly, runtime } = Class;

/** Every attribute there is; a name that ends in `.*` stands for all that begin so. */
const known: Readonly<Record<string, number>> = {
  rank: readonly | immutable,
  size: readonly | immutable,
  version: readonly,
  rundir: 0,
  'rundir-cleanup': immutable,
  statedir: 0,
  'statedir-cleanup': immutable,
  'security.owner': readonly | immutable,
  'local-uri': immutable,
  'parent-uri': readonly | immutable,
  'instance-level': readonly | immutable,
  jobid: readonly | immutable,
  'jobid-path': readonly | immutable,
  'parent-kvs-namespace': readonly | immutable,
  hostlist: immutable,
  hostname: immutable,
  'broker.mapping': readonly | immutable,
  'broker.critical-ranks': immutable,
  'broker.boot-method': immutable,
  'broker.pid': readonly | immutable,
  'broker.quorum': immutable,
  'broker.quorum-warn': immutable,
  'broker.shutdown-warn': immutable,
  'broker.shutdown-timeout': immutable,
  'broker.cleanup-timeout': 0,
  'broker.unload-builtins-timeout': 0,
  'broker.rc1_path': 0,
  'broker.rc3_path': 0,
  'broker.rc2_none': 0,
  'broker.rc2_pgrp': 0,
  'broker.exit-restart': runtime,
  'broker.module-nopanic': runtime,
  'broker.starttime': readonly | immutable,
  'broker.sd-notify': 0,
  'broker.sd-stop-timeout': immutable,
  'broker.exit-norestart': 0,
  'broker.recovery-mode': 0,
  'broker.uuid': readonly | immutable,
  'conf.shell_initrc': runtime,
  'conf.shell_pluginpath': runtime,
  'config.path': immutable,
  'tbon.topo': 0,
  'tbon.descendants': readonly,
  'tbon.level': readonly,
  'tbon.maxlevel': readonly,
  'tbon.endpoint': readonly,
  'tbon.parent-endpoint': readonly,
  'tbon.zmqdebug': 0,
  'tbon.zmq_io_threads': 0,
  'tbon.child_rcvhwm': 0,
  'tbon.prefertcp': 0,
  'tbon.interface-hint': runtime | immutable,
  'tbon.torpid_min': 0,
  'tbon.torpid_max': 0,
  'tbon.tcp_user_timeout': 0,
  'tbon.connect_timeout': 0,
  'tbon.policy': 0,
  'tbon.rewire_timeout': 0,
  'log-ring-size': immutable,
  'log-forward-level': immutable,
  'log-critical-level': immutable,
  'log-filename': 0,
  'log-syslog-enable': immutable,
  'log-syslog-level': immutable,
  'log-stderr-mode': immutable,
  'log-stderr-level': runtime,
  'log-level': immutable,
  'content.backing-module': 0,
  'content.hash': immutable,
  'content.dump': runtime,
  'content.restore': runtime,
  'cron.directory': 0,
  'test.*': runtime,
  'test-ro.*': readonly,
  'test-nr.*': 0,
  'test-im.*': immutable,
  'test-rd.*': runtime,
  'vendor.*': runtime | immutable,
};

/** Attributes whose update another service decides on: its topic takes {name, value}. */
const redirected: Readonly<Record<string, string>> = {
  'test-rd.*': 'testrd.setattr',
  'log-stderr-level': 'log.setattr',
};

function lookUp<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  if (Object.hasOwn(table, name)) return table[name];
  const dot = name.indexOf('.');
  const family = `${name.slice(0, dot)}.*`;
  return dot > 0 && Object.hasOwn(table, family) ? table[family] : undefined;
}

function classOf(name: string): number {
  const found = lookUp(known, name);
  if (found === undefined) throw new FluxError('ENOENT', 'unknown attribute');
  return found;
}

/** The topic that decides on updates of an attribute, if it is not this service. */
export function redirectOf(name: string): string | undefined {
  return lookUp(redirected, name);
}

/**
 * Whether an attribute may be given on the command line.
 *
 * @throws FluxError ENOENT: there is no such attribute; EINVAL: it says something and is not to be set
 */
export function checkCommandLine(name: string): void {
  if (classOf(name) & readonly) throw new FluxError('EINVAL', 'attribute may not be set on the command line');
}

/** The attributes of one rank: those that all ranks share, and its own on top. */
export class Attributes {
  readonly #shared: ReadonlyMap<string, string | null>;
  readonly #own: Map<string, string | null>;
  // Shared attributes that were removed on this rank.
  readonly #removed = new Set<string>();

  /** A null value is an attribute that exists and has no value. */
  constructor(shared: ReadonlyMap<string, string | null>, own: Iterable<readonly [string, string | null]>) {
    this.#shared = shared;
    this.#own = new Map(own);
  }

  has(name: string): boolean {
    return this.#own.has(name) || (this.#shared.has(name) && !this.#removed.has(name));
  }

  /** The value; undefined when it is not set or has none. */
  get(name: string): string | undefined {
    const own = this.#own.get(name);
    if (own !== undefined) return own ?? undefined;
    return this.#removed.has(name) ? undefined : (this.#shared.get(name) ?? undefined);
  }

  isImmutable(name: string): boolean {
    return (classOf(name) & immutable) !== 0;
  }

  names(): string[] {
    const shared = [...this.#shared.keys()].filter((name) => !this.#own.has(name) && !this.#removed.has(name));
    return [...shared, ...this.#own.keys()];
  }

  /** Sets a value from inside the broker, whatever its class. */
  put(name: string, value: string | null): void {
    this.#own.set(name, value);
  }

  /**
   * Whether somebody may set an attribute.
   *
   * @throws FluxError ENOENT: no such attribute; EINVAL: it is not to be updated at run time, and `force` is not given;
   * EPERM: its value can't be changed at all
   */
  checkUpdate(name: string, force: boolean): void {
    const attributeClass = classOf(name);
    if (!this.has(name)) return;
    if (!force && (attributeClass & runtime) === 0) throw new FluxError('EINVAL', 'attribute may not be updated');
    if (attributeClass & immutable) throw new FluxError('EPERM', `attribute ${name} is immutable`);
  }

  /**
   * Removes an attribute; one that is not set is no error.
   *
   * @throws FluxError EPERM: it is immutable
   */
  remove(name: string): void {
    if (!this.has(name)) return;
    if (this.isImmutable(name)) throw new FluxError('EPERM', `attribute ${name} is immutable`);
    this.#own.delete(name);
    if (this.#shared.has(name)) this.#removed.add(name);
  }
}
