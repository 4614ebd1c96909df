/**
 * Lua 5.4 (wasmoon: Lua's own C sources in WebAssembly) for one shell. It runs on the engine's thread, so each call has a
 * limit of time, and each state one of memory.
 *
 * The limits are for mistakes, not for malice: a C function of Lua's library, such as a search for a pattern with many
 * stars, is not interrupted. Plugins in JavaScript may do what they want, too.
 */

import type * as Wasmoon from 'wasmoon';
import { asFluxError, FluxError } from '../../../core/errno.ts';
import { type JsonObject, type JsonValue, Real } from '../../../core/json.ts';

/**
 * What Lua calls: takes values of Lua as JSON, null for nil, and returns one, or undefined for none. What it throws becomes
 * an error of Lua at the line of the caller.
 */
export type HostFunction = (...args: JsonValue[]) => JsonValue | undefined;
export type HostFunctions = Readonly<Record<string, HostFunction>>;

export interface LuaLimits {
  /** How long one call may take. */
  readonly seconds: number;
  /** Memory of the state. */
  readonly bytes: number;
}

const defaultLimits: LuaLimits = { seconds: 2, bytes: 64 << 20 };

/** How many instructions go by before the time is looked at. */
const HOOK_INTERVAL = 10_000;

/** Tables within tables; deeper ones hold themselves. */
const MAX_DEPTH = 100;

interface LuaModule {
  readonly wasmoon: typeof Wasmoon;
  readonly lua: Wasmoon.LuaWasm;
}

/**
 * Jobs with a shell on this thread that has taken too long, and what was said then. Others of the job do not try: hundreds
 * may be there, and each would keep the thread waiting.
 */
const overtime = new WeakMap<object, string>();

/** Shared by the shells of a thread: an instance takes 16 MiB of address space, a state in it some hundred KiB. */
let shared: Promise<LuaModule> | undefined;

async function loadModule(): Promise<LuaModule> {
  const wasmoon = await import('wasmoon');
  return { wasmoon, lua: await new wasmoon.LuaFactory().getLuaModule() };
}

/**
 * Makes a state.
 *
 * @param prelude a chunk that takes the host's functions as a table, each of which returns whether it succeeded and a value
 *   or a message. It returns the function that is called from then on: `function (action, ...)`, which returns whether it
 *   succeeded, and a message if not.
 * @param job what the shells of a job on this thread have in common
 */
export async function openLua(
  prelude: string,
  host: HostFunctions,
  job: object,
  limits = defaultLimits,
): Promise<LuaState> {
  shared ??= loadModule();
  return new LuaState(await shared, prelude, host, job, limits);
}

export class LuaState {
  readonly #module: LuaModule;
  readonly #engine: Wasmoon.LuaEngine;
  readonly #job: object;
  readonly #limits: LuaLimits;
  readonly #hook: number;
  readonly #entry: number;
  #deadline = 0;
  #isBusy = false;
  #isStopped = false;
  #isClosed = false;
  // Why it was stopped, for who called.
  #fault: string | undefined;

  constructor(module: LuaModule, prelude: string, host: HostFunctions, job: object, limits: LuaLimits) {
    const { wasmoon, lua } = module;
    this.#module = module;
    this.#job = job;
    this.#limits = limits;
    this.#engine = new wasmoon.LuaEngine(lua, { enableProxy: false, traceAllocations: true });
    const { global } = this.#engine;
    this.#hook = lua.module.addFunction((state: number) => this.#check(state), 'vii');
    global.setMemoryMax(limits.bytes);
    global.loadString(prelude, '=flux');
    global.pushValue(Object.fromEntries(Object.entries(host).map(([name, call]) => [name, this.#guarded(call)])));
    global.assertOk(lua.lua_pcallk(global.address, 1, 1, 0, 0, null));
    this.#entry = lua.luaL_ref(global.address, wasmoon.LUA_REGISTRYINDEX);
  }

  /** Whether Lua runs right now, and has called the host. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** Whether Lua does nothing any more. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /**
   * Has Lua do something; nothing happens when it was stopped.
   *
   * @throws FluxError EINVAL: what went wrong, with file and line; it has taken too long
   */
  call(action: string, ...args: (string | number)[]): void {
    if (this.#isStopped || this.#isClosed) return;
    const refusal = overtime.get(this.#job);
    if (refusal !== undefined) {
      this.#isStopped = true;
      throw new FluxError('EINVAL', refusal);
    }
    const { wasmoon, lua } = this.#module;
    const { global } = this.#engine;
    const { address } = global;
    const top = global.getTop();
    let problem: string | undefined;
    this.#isBusy = true;
    this.#deadline = performance.now() + this.#limits.seconds * 1000;
    try {
      lua.lua_sethook(address, this.#hook, wasmoon.LuaEventMasks.Count, HOOK_INTERVAL);
      lua.lua_rawgeti(address, wasmoon.LUA_REGISTRYINDEX, BigInt(this.#entry));
      for (const arg of [action, ...args]) global.pushValue(arg);
      const status = lua.lua_pcallk(address, args.length + 1, 2, 0, 0, null);
      if (status !== wasmoon.LuaReturn.Ok || !lua.lua_toboolean(address, -2)) problem = this.#messageOnTop();
      lua.lua_sethook(address, null, 0, 0);
      global.setTop(top);
    } catch (error) {
      // WebAssembly itself has failed; nobody is to rely on its memory any more.
      shared = undefined;
      this.#isStopped = true;
      this.#isClosed = true;
      this.#fault = `Lua has failed: ${asFluxError(error).message}`;
    } finally {
      this.#isBusy = false;
    }
    const fault = this.#fault ?? (this.#isStopped ? undefined : problem);
    this.#fault = undefined;
    if (fault !== undefined) throw new FluxError('EINVAL', fault);
  }

  #messageOnTop(): string {
    const { wasmoon, lua } = this.#module;
    const { address } = this.#engine.global;
    if (lua.lua_type(address, -1) !== wasmoon.LuaType.String) return 'unknown error';
    const text = lua.lua_tolstring(address, -1, null);
    return text === 'not enough memory' ? `Lua needs more than ${this.#limits.bytes >> 20} MiB of memory` : text;
  }

  /** Ends what Lua does right now, and has it do nothing any more. */
  stop(): void {
    this.#isStopped = true;
    this.#raiseAlways(this.#engine.global.address);
  }

  /** Ends what takes too long. A thread of Lua (a coroutine) has the hook of the one that made it. */
  #check(state: number): void {
    const { lua } = this.#module;
    if (!this.#isStopped) {
      if (performance.now() < this.#deadline) return;
      lua.luaL_where(state, 0);
      this.#fault = `${lua.lua_tolstring(state, -1, null)}Lua ran for more than ${this.#limits.seconds} seconds`;
      lua.lua_pop(state, 1);
      overtime.set(this.#job, this.#fault);
      this.#isStopped = true;
    }
    this.#raiseAlways(state);
    lua.lua_pushstring(state, 'stopped');
    lua.lua_error(state);
  }

  /** From now on each instruction fails, so that no pcall keeps Lua going. */
  #raiseAlways(state: number): void {
    const { wasmoon, lua } = this.#module;
    lua.lua_sethook(state, this.#hook, wasmoon.LuaEventMasks.Count, 1);
  }

  /** Gives back its memory. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#engine.global.close();
    this.#module.lua.module.removeFunction(this.#hook);
  }

  #guarded(call: HostFunction): (...args: unknown[]) => Wasmoon.LuaMultiReturn {
    const { LuaMultiReturn } = this.#module.wasmoon;
    const several = (...values: unknown[]) => LuaMultiReturn.from(values) as Wasmoon.LuaMultiReturn;
    return (...args) => {
      try {
        const value = call(...args.map((arg) => fromLua(arg)));
        return value === undefined ? several(true) : several(true, toLua(value));
      } catch (error) {
        return several(false, asFluxError(error).message);
      }
    };
  }
}

/** JSON as wasmoon takes it. Integers that JavaScript does not hold exactly are rounded. */
function toLua(value: JsonValue | undefined): unknown {
  if (value === null || value === undefined) return undefined;
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Real) return value.value;
  if (Array.isArray(value)) return value.map(toLua);
  if (typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value as JsonObject).map(([name, member]) => [name, toLua(member)]));
}

/**
 * What wasmoon makes of a value of Lua, as JSON.
 *
 * @throws FluxError EINVAL: a function or the like; a table that holds itself
 */
function fromLua(value: unknown, depth = 0): JsonValue {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  if (depth < MAX_DEPTH && Array.isArray(value)) return value.map((item) => fromLua(item, depth + 1));
  if (depth >= MAX_DEPTH || typeof value !== 'object' || Object.getPrototypeOf(value) !== Object.prototype)
    throw new FluxError('EINVAL', 'a value is neither text, number, boolean nor a table of these');
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, fromLua(member, depth + 1)]));
}
