/** `flux uptime`: how long the instance has been up, and how it is. */

import { about, type ErrnoName, FluxError } from '../core/errno.ts';
import { formatDuration } from '../core/formats/duration.ts';
import { IdSet } from '../core/formats/idset.ts';
import type { Handle } from '../core/handle/handle.ts';
import type { JsonObject } from '../core/json.ts';
import { runCommand, subcommand, withHandle } from './command.ts';
import { print } from './print.ts';
import { formatTimeOfDay } from './timestamps.ts';
import { userName } from './users.ts';

/** What there is to tell; a number is undefined where the service that knows it is not there. */
interface Status {
  readonly state: string;
  /** Seconds since the instance was started, or, outside the state run, since this broker's state was entered. */
  readonly duration: number;
  readonly owner: number;
  readonly level: number;
  readonly size: number;
  readonly drained?: number | undefined;
  readonly offline?: number | undefined;
  readonly queues?: QueueStatus | undefined;
}

/** What holds for all queues together: nothing can be submitted, nothing is started. */
interface QueueStatus {
  readonly disabled: boolean;
  readonly stopped: boolean;
}

/** `flux uptime` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand('uptime', 'Tell how long the instance has been up.')
    .option('--json', 'Print a JSON object.')
    .action((options: { json?: boolean }) =>
      withHandle(async (handle) => {
        const status = await fetchStatus(handle);
        print(options.json ? formatJson(status) : format(status));
      }),
    );
  return runCommand(command, args);
}

async function fetchStatus(handle: Handle): Promise<Status> {
  const number = async (name: string, nodeid?: number) => {
    const value = Number(await handle.attribute(name, { nodeid }));
    if (Number.isNaN(value)) throw new FluxError('EINVAL', `attribute ${name} is not a number`);
    return value;
  };
  const [machine, owner, size, level, start] = await Promise.all([
    handle.rpc<{ state: string; duration: number }>('state-machine.get'),
    number('security.owner'),
    number('size'),
    number('instance-level'),
    number('broker.starttime', 0),
  ]);
  const { state } = machine;
  if (state !== 'run') return { state, duration: Number(machine.duration), owner, level, size };
  const [drained, online, queues] = await Promise.all([
    ifThere('drained ranks', countDrained(handle)),
    ifThere('online ranks', countOnline(handle)),
    ifThere('queues', fetchQueues(handle)),
  ]);
  const offline = online === undefined ? undefined : size - online;
  return { state, duration: Date.now() / 1000 - start, owner, level, size, drained, offline, queues };
}

/** How a request fails whose service is not loaded. */
const absences: readonly ErrnoName[] = ['ENOSYS', 'EHOSTUNREACH'];

/** What a service answers, or undefined when it is not there. */
function ifThere<T>(what: string, answer: Promise<T>): Promise<T | undefined> {
  return answer.catch((error: FluxError) => {
    if ((absences as readonly string[]).includes(error.code)) return undefined;
    throw about(`error fetching ${what}`, error);
  });
}

async function countDrained(handle: Handle): Promise<number> {
  const { drain } = await handle.rpc<{ drain: JsonObject }>('resource.status', undefined, { nodeid: 0 });
  return Object.keys(drain).reduce((count, ranks) => count + IdSet.parse(ranks).count, 0);
}

async function countOnline(handle: Handle): Promise<number> {
  const { members } = await handle.rpc<{ members: string }>('groups.get', { name: 'broker.online' }, { nodeid: 0 });
  return IdSet.parse(members).count;
}

async function fetchQueues(handle: Handle): Promise<QueueStatus> {
  const options = { nodeid: 0 };
  const { queues } = await handle.rpc<{ queues: string[] }>('job-manager.queue-list', undefined, options);
  const requests = queues.length ? queues.map((name) => ({ name })) : [{}];
  const statuses = await Promise.all(
    requests.map((each) => handle.rpc<{ enable: boolean; start: boolean }>('job-manager.queue-status', each, options)),
  );
  return { disabled: !statuses.some(({ enable }) => enable), stopped: !statuses.some(({ start }) => start) };
}

function format({ state, duration, owner, level, size, drained, offline, queues }: Status): string {
  const time = formatTimeOfDay(new Date());
  const facts = [
    ` ${time} ${state} ${formatDuration(Math.max(duration, 0), 2)}`,
    `owner ${userName(owner)}`,
    `depth ${level}`,
    `size ${size}`,
    ...(drained ? [`${drained} drained`] : []),
    ...(offline ? [`${offline} offline`] : []),
  ];
  const notices = [...(queues?.disabled ? ['submit disabled'] : []), ...(queues?.stopped ? ['scheduler stopped'] : [])];
  return facts.join(',  ') + (notices.length ? `\n  ${notices.join(',  ')}` : '');
}

function formatJson({ queues, ...status }: Status): string {
  return JSON.stringify({
    ...status,
    owner: userName(status.owner),
    ...(queues && { submit_disabled: queues.disabled, scheduler_stopped: queues.stopped }),
  });
}
