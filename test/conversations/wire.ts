/** Plays the client of a recorded conversation: sends what it sent, and compares what the broker answers. */

import { setTimeout as sleep } from 'node:timers/promises';
import { type JsonObject, stringifyJson } from '../../core/json.ts';
import { encodeFrame } from '../../core/message/framing.ts';
import { Flag, Message, MessageType } from '../../core/message/message.ts';
import { RouteStack } from '../../core/message/routes.ts';
import { WireClient } from '../wire-client.ts';
import { type Difference, differences, eventlogOf, shape } from './compare.ts';
import type { Line } from './recording.ts';
import type { Substitution } from './substitution.ts';

/** Microseconds: a client that let this much time pass acted on a timer, and so does this one. */
const TIMER_US = 80_000;
/** Milliseconds in which a broker must have closed a connection that it will close. */
const CLOSE_MS = 2000;
/** Milliseconds that one writer of a log may be behind the others. */
const WRITER_MS = 4000;

/** The frame that a client sent, with this run's values in place of the recorded ones. */
function frameOf(line: Line, substitution: Substitution): Buffer {
  const { hex, payload } = line;
  if (hex !== undefined && substitution.request(line.text) === line.text) return Buffer.from(hex, 'hex');
  const topic = line.topic === undefined ? undefined : substitution.text(line.topic);
  const type = MessageType[line.type as keyof typeof MessageType];
  const word1 = line.nodeid ?? line.sequence ?? line.errnum ?? 0;
  const message = new Message(type, line.flags, line, word1, line.matchtag ?? 0, topic, new RouteStack());
  if (typeof payload === 'string') message.setBytes(Buffer.from(payload, 'base64'));
  else if (payload !== undefined) message.setBytes(Buffer.from(`${substitution.request(stringifyJson(payload))}\0`));
  return encodeFrame(message);
}

/** The topic of a recorded message, without the job id that names of shells hold. */
function topicOf(line: Line): string {
  return (line.topic ?? line.type).replace(/shell-f\w+/, 'shell-<id>');
}

/** A payload as recordings have it: JSON as a value, other bytes as base64. */
function payloadOf(message: Message): Line['payload'] {
  const { bytes } = message;
  if (!bytes) return undefined;
  try {
    if (bytes.at(-1) === 0 && typeof message.json === 'object' && message.json !== null) return message.json;
  } catch {
    // It is no JSON, then.
  }
  return Buffer.from(bytes).toString('base64');
}

const textOf = (base64: string) => Buffer.from(base64, 'base64').toString();

function payloadDifferences(line: Line, actual: Message, substitution: Substitution): Difference[] {
  const where = topicOf(line);
  const recorded = line.payload;
  const payload = payloadOf(actual);
  if (typeof recorded === 'string' && typeof payload === 'string') {
    if (recorded === payload) return [];
    const [was, is] = [substitution.text(textOf(recorded)), textOf(payload)];
    return shape(was) === shape(is) ? [] : [{ where: `${where} text`, recorded: was, actual: is }];
  }
  if (recorded !== undefined && payload !== undefined) return differences(recorded, payload, substitution, `${where} `);
  return recorded === payload ? [] : [{ where: `${where} payload`, recorded, actual: payload }];
}

function answerDifferences(line: Line, actual: Message, substitution: Substitution): Difference[] {
  const where = topicOf(line);
  if (line.type === 'response' && actual.errnum !== line.errnum)
    return [{ where: `${where} errnum`, recorded: line.errnum, actual: actual.errnum }];
  if ((actual.flags & Flag.streaming) !== (line.flags & Flag.streaming))
    return [{ where: `${where} streaming flag`, recorded: line.flags, actual: actual.flags }];
  // The words of an error are each program's own.
  return line.errnum ? [] : payloadDifferences(line, actual, substitution);
}

/** Whether a message is the one that was recorded, whatever it says. */
function answers(line: Line, substitution: Substitution): (message: Message) => boolean {
  const topic = substitution.text(line.topic ?? '');
  const type = MessageType[line.type as keyof typeof MessageType];
  return (message) =>
    message.type === type &&
    (message.topic ?? '') === topic &&
    (line.type !== 'response' || message.matchtag === line.matchtag);
}

/** Events that there is one of, somewhere among those of others. */
const unplaced: readonly string[] = ['starting', 'shell.init', 'shell.task-exit'];

/**
 * What tells an event from others that may have come before it: several write the event logs of a job, and their order is
 * theirs. Undefined for events in their place.
 */
function writerOf(payload: Line['payload']): string | undefined {
  const [entry] = eventlogOf((payload as JsonObject | undefined)?.event) ?? [];
  const { stream, rank, eof = false, level } = entry?.context ?? {};
  if (entry?.name === 'data') return `data ${stream} ${rank} ${eof}`;
  if (entry?.name === 'log') return `log ${level}`;
  return entry && unplaced.includes(entry.name) ? entry.name : undefined;
}

/** Whether it is an event of what a job's shell has to say. */
function isShellLog(payload: Line['payload']): boolean {
  return writerOf(payload)?.startsWith('log ') ?? false;
}

/** Takes the message that was recorded, or the first that may be it. */
async function takeAnswer(
  client: WireClient,
  line: Line,
  substitution: Substitution,
  { answerMs, skipsShellLog }: DialogueOptions,
): Promise<Message | undefined> {
  const isAnswer = answers(line, substitution);
  const fits = (message: Message) => isAnswer(message) && !(skipsShellLog && isShellLog(payloadOf(message)));
  const writer = writerOf(line.payload);
  const same =
    writer === undefined
      ? undefined
      : await client.take((message) => fits(message) && writerOf(payloadOf(message)) === writer, WRITER_MS);
  return same ?? client.take(fits, answerMs);
}

export interface DialogueOptions {
  /** Milliseconds that an answer may take. */
  readonly answerMs: number;
  /** What shells log does not count. */
  readonly skipsShellLog: boolean;
}

/** Plays a dialogue with the broker at `uri`; it ends early where an answer stays away. */
export async function playDialogue(
  lines: readonly Line[],
  uri: string,
  substitution: Substitution,
  options: DialogueOptions,
): Promise<Difference[]> {
  const found: Difference[] = [];
  const clients = new Map<number, WireClient>();
  const ended = new Set<number>();
  let before = 0;
  for (const line of lines) {
    if (options.skipsShellLog && isShellLog(line.payload)) continue;
    const client = clients.get(line.conn) ?? (await WireClient.connect(uri));
    clients.set(line.conn, client);
    if (line.dir === 'c2s') {
      const gapUs = Math.min(line.t_us - before, 3_000_000);
      if (gapUs > TIMER_US) await sleep(gapUs / 1000);
      if (line.type !== 'eof') client.write(frameOf(line, substitution));
      else {
        ended.add(line.conn);
        client.socket.end();
      }
    } else if (line.type === 'auth') {
      if (client.auth !== line.errnum) found.push({ where: 'auth', recorded: line.errnum, actual: client.auth });
    } else if (line.type === 'eof') {
      // Where the server ends a connection first, it means something.
      if (!ended.has(line.conn) && !(await client.until(() => client.isClosed, CLOSE_MS)))
        found.push({ where: 'end of connection', recorded: 'by the server', actual: 'open' });
    } else {
      const actual = await takeAnswer(client, line, substitution, options);
      if (actual) found.push(...answerDifferences(line, actual, substitution));
      else found.push({ where: `${topicOf(line)} answer`, recorded: line.payload, actual: undefined });
      if (!actual && line.type === 'response') break;
    }
    before = line.t_us;
  }
  for (const client of clients.values()) client.close();
  return found;
}
