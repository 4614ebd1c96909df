/**
 * Finds the end of a JSON value in a text, or says what is wrong with it in the words Flux's users know (jansson's).
 *
 * JSON.parse is faster and stays the parser; this walks a text only when JSON.parse refused it, or when more text may
 * follow the value.
 */

import { FluxError } from '../errno.ts';

/** Values nested deeper than this are refused, as jansson does. */
export const DEPTH_MAX = 2048;
/** Longer tokens are not quoted in errors. */
const QUOTED_BYTES_MAX = 20;

type Token = '{' | '}' | '[' | ']' | ':' | ',' | 'string' | 'number' | 'word' | 'invalid' | 'end';

export class JsonScanner {
  readonly #text: string;
  #token: Token = 'end';
  #start = 0;
  #position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Where the text walked so far ends. */
  get position(): number {
    return this.#position;
  }

  /** Walks one value and the end of the text behind it; throws FluxError EINVAL when either is not there. */
  document(): void {
    this.#next();
    this.#value(1);
    if (this.#next() !== 'end') this.#fail('end of file expected');
  }

  /** Walks one object or array, whatever follows; throws FluxError EINVAL when it is not there. */
  container(): void {
    const token = this.#next();
    if (token !== '{' && token !== '[') this.#fail("'[' or '{' expected");
    this.#value(1);
  }

  #value(depth: number): void {
    if (depth > DEPTH_MAX) this.#fail('maximum parsing depth reached');
    if (this.#token === '{') this.#object(depth);
    else if (this.#token === '[') this.#array(depth);
    else if (this.#token === 'invalid') this.#fail('invalid token');
    else if (!['string', 'number', 'word'].includes(this.#token)) this.#fail('unexpected token');
  }

  #object(depth: number): void {
    let token = this.#next();
    if (token === '}') return;
    for (;;) {
      if (token !== 'string') this.#fail("string or '}' expected");
      if (this.#next() !== ':') this.#fail("':' expected");
      this.#next();
      this.#value(depth + 1);
      token = this.#next();
      if (token !== ',') break;
      token = this.#next();
    }
    if (token !== '}') this.#fail("'}' expected");
  }

  #array(depth: number): void {
    let token = this.#next();
    if (token === ']') return;
    while (token !== 'end') {
      this.#value(depth + 1);
      token = this.#next();
      if (token !== ',') break;
      token = this.#next();
    }
    if (token !== ']') this.#fail("']' expected");
  }

  #next(): Token {
    this.#match(/[ \t\n\r]*/y);
    this.#start = this.#position;
    this.#token = this.#scan();
    return this.#token;
  }

  #scan(): Token {
    const char = this.#text[this.#position];
    if (char === undefined) return 'end';
    if ('{}[]:,'.includes(char)) {
      this.#position++;
      return char as Token;
    }
    if (char === '"') return this.#string();
    if (this.#match(/[A-Za-z]+/y)) return /^(true|false|null)$/.test(this.#tokenText()) ? 'word' : 'invalid';
    if (!/[-0-9]/.test(char)) {
      this.#position += String.fromCodePoint(this.#text.codePointAt(this.#position)!).length;
      return 'invalid';
    }
    return this.#number();
  }

  #number(): Token {
    this.#match(/-?/y);
    if (!this.#match(/0(?![0-9])|[1-9][0-9]*/y)) {
      this.#match(/0/y);
      return 'invalid';
    }
    if (this.#match(/\./y) && !this.#match(/[0-9]+/y)) return 'invalid';
    if (this.#match(/[eE][+-]?/y) && !this.#match(/[0-9]+/y)) return 'invalid';
    return 'number';
  }

  #string(): Token {
    this.#position++;
    for (;;) {
      this.#match(/[^"\\\p{Cc}]*/uy);
      const char = this.#text[this.#position];
      if (char === undefined) this.#fail('premature end of input');
      if (char === '"') break;
      if (char === '\n') this.#fail('unexpected newline');
      if (char < ' ') this.#fail(`control character 0x${char.charCodeAt(0).toString(16)}`);
      this.#position++;
      if (char === '\\' && !this.#match(/["\\/bfnrt]|u[0-9a-fA-F]{4}/y)) {
        this.#match(/u[0-9a-fA-F]*./y) || this.#match(/./y);
        this.#fail('invalid escape');
      }
    }
    this.#position++;
    return 'string';
  }

  #match(pattern: RegExp): boolean {
    pattern.lastIndex = this.#position;
    const matched = pattern.test(this.#text);
    if (matched) this.#position = pattern.lastIndex;
    return matched;
  }

  #tokenText(): string {
    return this.#text.slice(this.#start, this.#position);
  }

  #fail(sentence: string): never {
    const near = this.#tokenText();
    if (near === '') throw new FluxError('EINVAL', `${sentence} near end of file`);
    const quoted = Buffer.byteLength(near) <= QUOTED_BYTES_MAX;
    throw new FluxError('EINVAL', quoted ? `${sentence} near '${near}'` : sentence);
  }
}

/** Whether a text that is JSON nests its values too deep. */
export function isTooDeep(text: string): boolean {
  if (!opensMoreThan(text, DEPTH_MAX)) return false;
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (char === '"') {
      while (text[++i] !== '"') if (text[i] === '\\') i++;
    } else if (char === '[' || char === '{') {
      if (++depth > DEPTH_MAX) return true;
    } else if (char === ']' || char === '}') depth--;
  }
  return false;
}

/** Whether there are more brackets than so many that open, also those in strings: looking for them is quick. */
function opensMoreThan(text: string, limit: number): boolean {
  let count = 0;
  for (const bracket of ['{', '['])
    for (let at = text.indexOf(bracket); at >= 0; at = text.indexOf(bracket, at + 1)) if (++count > limit) return true;
  return false;
}
