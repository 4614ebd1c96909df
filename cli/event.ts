/** `flux event`: publishes events, and shows them as they come. */

import { Buffer } from 'node:buffer';
import type { EventQueue, Handle } from '../core/handle/handle.ts';
import type { Message } from '../core/message/message.ts';
import { count, withHandle } from './command.ts';
import { runNested } from './nested.ts';
import { print } from './print.ts';

interface PubOptions {
  raw?: boolean;
  synchronous?: boolean;
  loopback?: boolean;
  private?: boolean;
}

/** `flux event pub|sub` */
export function run(args: readonly string[]): Promise<number> {
  return runNested(
    'event',
    'Publish events, and show them.',
    {
      pub: {
        summary: 'Publish an event',
        define: (command) =>
          command
            .argument('<topic>', 'what it is about')
            .argument('[payload...]', 'JSON; several words are joined by blanks')
            .option('-r, --raw', 'The payload is no JSON: publish its bytes as they are.')
            .option('-s, --synchronous', 'Show the sequence number that the event got.')
            .option('-l, --loopback', 'Wait until the event has come back here.')
            .option('-p, --private', 'Only for the instance owner and for the user who publishes it.')
            .passThroughOptions()
            .action((topic: string, words: string[], options: PubOptions) =>
              withHandle((handle) => publish(handle, topic, words.join(' '), options)),
            ),
      },
      sub: {
        summary: 'Show events as they come',
        define: (command) =>
          command
            .argument('[topic...]', 'beginnings of topics; all events when there is none')
            .option('-c, --count <N>', 'End after this many; 0 is no end.', count, 0)
            .action((topics: string[], options: { count: number }) =>
              withHandle((handle) => show(handle, topics.length ? topics : [''], options.count)),
            ),
      },
    },
    args,
  );
}

async function publish(handle: Handle, topic: string, payload: string, options: PubOptions): Promise<void> {
  const events = options.loopback ? await handle.subscribe(topic) : undefined;
  // Other clients find JSON by the NUL behind it. Nothing is no payload.
  const bytes = Buffer.from(payload && !options.raw ? `${payload}\0` : payload);
  const sequence = await handle.publish(topic, bytes, { private: options.private ?? false });
  if (options.synchronous) print(`seq=${sequence}`);
  if (events) for await (const event of events) if (event.sequence >= sequence) break;
}

async function show(handle: Handle, topics: readonly string[], count: number): Promise<void> {
  // What begins with another topic here comes with that one, so no event comes twice.
  const prefixes = [...new Set(topics)].filter(
    (topic, _, all) => !all.some((other) => other !== topic && topic.startsWith(other)),
  );
  const queues = await Promise.all(prefixes.map((prefix) => handle.subscribe(prefix)));
  let left = count || Infinity;
  for await (const event of inOrder(queues)) {
    print(describe(event));
    if (--left === 0) return;
  }
  const error = await handle.closed;
  if (error) throw error;
}

/** The events of several subscriptions, in the order they were published. */
async function* inOrder(queues: readonly EventQueue[]): AsyncGenerator<Message, void, undefined> {
  if (queues.length === 1) return yield* queues[0]!;
  let gathered: Message[] = [];
  let wake = () => {};
  const readers = queues.map(async (queue) => {
    for await (const event of queue) {
      gathered.push(event);
      wake();
    }
  });
  let isOpen = true;
  void Promise.all(readers).then(() => {
    isOpen = false;
    wake();
  });
  while (isOpen || gathered.length) {
    if (!gathered.length)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    // All events that came in together are there after one turn of the loop.
    await new Promise(setImmediate);
    const events = gathered.sort((a, b) => a.sequence - b.sequence);
    gathered = [];
    yield* events;
  }
}

/** The topic, a tab, and the payload: its text when it is a string to C programs, else with dots for what does not print. */
function describe(event: Message): string {
  const bytes = Buffer.from(event.bytes ?? []);
  const payload =
    bytes.at(-1) === 0 ? bytes.toString('utf8', 0, bytes.indexOf(0)) : bytes.toString('latin1').replace(/[^ -~]/g, '.');
  return `${event.topic}\t${payload}`;
}
