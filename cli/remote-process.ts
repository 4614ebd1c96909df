/** Programs that ranks run, as commands name them, start them and show what they left. */

import { decodeIo } from '../core/formats/io.ts';
import type { Handle } from '../core/handle/handle.ts';
import type { ProcessName } from '../core/handle/remote-process.ts';
import type { JsonValue } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';

/** Reads `PID|LABEL`. */
export function parseProcessName(text: string): ProcessName {
  return /^[+-]?\d+$/.test(text) ? { pid: Number(text) } : { pid: -1, label: text };
}

/** Runs a program in the background and resolves to its process id. */
export async function startInBackground(
  handle: Handle,
  service: string,
  rank: number,
  payload: Buffer,
): Promise<number> {
  return (await handle.rpc<{ pid: number }>(`${service}.exec`, payload, { nodeid: rank })).pid;
}

/** Writes the output that a server kept of a program. */
export function writeRetained(output: JsonValue | undefined): void {
  if (!Array.isArray(output)) return;
  for (const io of output) {
    if (!isObject(io)) continue;
    const { stream, data } = decodeIo(io);
    (stream === 'stdout' ? process.stdout : process.stderr).write(data);
  }
}
