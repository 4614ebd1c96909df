/** A part of the KVS as it ought to be: keys and their values, and the changes that a transaction makes. */

import { createHash } from 'node:crypto';

export interface Change {
  readonly kind: 'put' | 'append' | 'unlink';
  /** Relative to the part; an unlinked key may be a directory. */
  readonly key: string;
  readonly value: string;
}

const MODULUS = 2 ** 48;

/** A number for a key with its value; the sum of them stands for a whole tree. */
function weight(key: string, value: string): number {
  return createHash('sha1').update(`${key}\0${value}`).digest().readUIntBE(0, 6);
}

export class Tree {
  readonly #values: Map<string, string>;
  /** The same for trees that are the same, and hardly for others. */
  fingerprint = 0;

  constructor(values: ReadonlyMap<string, string> = new Map()) {
    this.#values = new Map(values);
    for (const [key, value] of values) this.fingerprint = (this.fingerprint + weight(key, value)) % MODULUS;
  }

  get size(): number {
    return this.#values.size;
  }

  apply({ kind, key, value }: Change): void {
    if (kind === 'unlink') this.#unlink(key);
    else this.#set(key, kind === 'append' ? (this.#values.get(key) ?? '') + value : value);
  }

  #set(key: string, value: string): void {
    this.#delete(key);
    this.#values.set(key, value);
    this.fingerprint = (this.fingerprint + weight(key, value)) % MODULUS;
  }

  #unlink(key: string): void {
    this.#delete(key);
    for (const below of [...this.#values.keys()]) if (below.startsWith(`${key}.`)) this.#delete(below);
  }

  #delete(key: string): void {
    const value = this.#values.get(key);
    if (value === undefined) return;
    this.#values.delete(key);
    this.fingerprint = (this.fingerprint + MODULUS - weight(key, value)) % MODULUS;
  }
}
