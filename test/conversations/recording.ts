/**
 * Recorded conversations between flux-core's clients and brokers: what a file of `test/golden/conversations` holds. Its
 * first line is the head: what was run; each further line is a message, in the order in which they passed.
 */

import fs from 'node:fs';
import { type JsonValue, parseJson } from '../../core/json.ts';
import type { MessageType } from '../../core/message/message.ts';

export interface Head {
  readonly name: string;
  /** The part of Flux that it is about. */
  readonly area: string;
  /** Ranks of the instance. */
  readonly size: number;
  /** The command line; `flux` stands for the command under test. */
  readonly argv: readonly string[];
  /** The same, with variables of the set-up not expanded. */
  readonly argv_template?: readonly string[];
  /** A script that is run before, and the values that its variables `V_…` had. */
  readonly setup?: string;
  readonly vars?: Readonly<Record<string, string>>;
  /** Configuration, as TOML. */
  readonly config?: string;
  readonly start_options?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** The rank that the client talks to. */
  readonly rank?: number;
  /** Signals and scripts that come while the command runs, each so many seconds after the one before. */
  readonly during?: readonly (readonly [number, string])[];
  readonly stdout?: string;
  /** Instead of `stdout` when it is no text. */
  readonly stdout_b64?: string;
  readonly stderr?: string;
  readonly exit: number;
  /** A script that looks at what has come of it, and what it printed. */
  readonly post?: string;
  readonly post_stdout?: string;
  /** There is no command of flux to run. */
  readonly wire_only?: boolean;
  /** The messages do not show what the command does. */
  readonly cli_only?: boolean;
}

/** A message, or the byte that accepts a connection, or its end. */
export interface Line {
  /** Which of the client's connections. */
  readonly conn: number;
  readonly dir: 'c2s' | 's2c';
  readonly type: keyof typeof MessageType | 'auth' | 'eof';
  readonly flags: number;
  readonly topic?: string;
  readonly userid: number;
  readonly rolemask: number;
  readonly nodeid?: number;
  readonly errnum?: number;
  readonly sequence?: number;
  readonly matchtag?: number;
  /** JSON as it is, with `"$real 0.0"` in the file for a real without a fraction; other bytes as base64. */
  readonly payload?: JsonValue;
  /** The frame as it was sent, where the fields above would not give it back. */
  readonly hex?: string;
  /** Microseconds since the start. */
  readonly t_us: number;
  /** The line as it is in the file. */
  readonly text: string;
}

export interface Recording {
  readonly head: Head;
  readonly lines: readonly Line[];
}

const folder = 'test/golden/conversations';

/** The names of all conversations. */
export function recordedNames(): string[] {
  const files = fs.readdirSync(folder).filter((name) => name.endsWith('.jsonl'));
  return files.map((name) => name.replace(/\.jsonl$/, '')).sort();
}

/** Reads a conversation; `temporary` is the folder that is its /tmp in this run. */
export function readRecording(name: string, temporary: string): Recording {
  const [head, ...lines] = fs.readFileSync(`${folder}/${name}.jsonl`, 'utf8').trimEnd().split('\n');
  const movedText = (text: string) => text.replace(/(?<!\/var)\/tmp\//g, `${temporary}/`);
  const moved = (text: string) => inEnvelopes(movedText(text), movedText);
  return { head: JSON.parse(moved(head!)) as Head, lines: lines.map((text) => parseLine(text, moved(text))) };
}

/** A text with each jobspec changed that it holds in an envelope, `"J":"HEADER.JOBSPEC.SIGNATURE"`. */
export function inEnvelopes(text: string, change: (jobspec: string) => string): string {
  return text.replace(/("J":"[^".]+\.)([^".]+)/g, (_, header: string, payload: string) => {
    const jobspec = Buffer.from(payload, 'base64').toString();
    const changed = change(jobspec);
    return header + (changed === jobspec ? payload : Buffer.from(changed).toString('base64'));
  });
}

function parseLine(recorded: string, text: string): Line {
  const { hex, ...line } = parseJson(text.replace(/"\$real ([^"]+)"/g, '$1')) as unknown as Line;
  return { ...line, conn: line.conn ?? 0, text, ...(hex !== undefined && recorded === text && { hex }) };
}
