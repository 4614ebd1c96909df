/** What of the recorded conversations is not, or not yet, as it was recorded. */

import type { Mode } from './replay.ts';

/**
 * Conversations that need a service or a command that is not there yet, by its name. One that begins to match fails its
 * test: it is to be taken off this list then.
 */
const waitingByService: Readonly<Record<Mode, Readonly<Record<string, readonly string[]>>>> = {
  wire: {
    kvs: [
      'misc-startlog',
      'misc-startlog-check',
      'misc-startlog-finished',
      'misc-startlog-guest',
      'misc-startlog-unknown-event',
      'module-trace',
      'ping-rank-bang-service',
      'raw-streaming-flag-extra',
      'raw-to-rank-1',
      'rusage-of-modules',
      'shutdown-on-rank-1',
    ],
    'kvs-watch': ['module-debug-clearbit', 'module-remove-on-rank-1', 'module-rpc-common-methods'],
    'job-list': ['shutdown-unknown-job'],
    'job-manager': [
      'misc-parent-in-job',
      'misc-post-job-event',
      'misc-post-job-event-unknown',
      'raw-guest-jobs',
      'raw-to-upstream',
      'shutdown-job-not-an-instance',
    ],
    'all modules of flux-core': ['module-list'],
    resource: [
      'misc-uptime',
      'misc-uptime-drained',
      'misc-uptime-queue-stopped',
      'misc-uptime-rank-one',
      'raw-guest-broker-services',
    ],
  },
  cli: {
    'all modules of flux-core': ['module-list'],
    'job-manager': [
      'misc-parent-in-job',
      'misc-post-job-event',
      'shutdown-job-background',
      'shutdown-job-not-an-instance',
    ],
    kvs: [
      'misc-startlog',
      'misc-startlog-check',
      'misc-startlog-finished',
      'misc-startlog-unknown-event',
      'module-trace',
      'ping-rank-bang-service',
    ],
    'kvs-watch': ['module-debug-clearbit', 'module-remove-on-rank-1'],
    resource: ['misc-uptime-drained', 'misc-uptime-queue-stopped'],
  },
};

/** Differences that do not count, as `thatCount` names them. */
const otherwise: Readonly<Record<string, readonly string[]>> = {
  // Process id, times, folders and ids are those of the instance.
  'wire:attr-lsattr-values': ['attr.get .value', 'attr.get .value shape'],
  'cli:attr-lsattr-values': ['stdout line 5', 'stdout line 15 shape', 'stdout line 39 shape'],
  'wire:misc-uptime': ['attr.get .value'],
  'wire:misc-uptime-rank-one': ['attr.get .value'],
  'cli:sproc-ps': ['stdout line 2', 'stdout line 3'],
  // How many events and requests there were before is each broker's own.
  'cli:event-pub-synchronous-bad-json': ['stdout line 1'],
  'cli:module-stats': ['stdout line 3', 'stdout line 4', 'stdout line 9', 'stdout line 10'],
  // A ping holds nanoseconds, of eight or nine digits.
  'wire:overlay-trace': ['overlay.trace .payload_size'],
  'wire:overlay-rpc-trace': ['overlay.trace .payload_size'],
  'cli:overlay-trace': ['stdout line 1', 'stdout line 2'],
  // The environment that flux-core's commands add to that of the caller.
  'wire:exec-attach-to-running': [
    'rexec.attach .cmd.env.FLUX_START_URI missing',
    'rexec.attach .cmd.env.LUA_CPATH missing',
    'rexec.attach .cmd.env.LUA_PATH missing',
    'rexec.attach .cmd.env.MANPATH missing',
    'rexec.attach .cmd.env.SHLVL',
    'rexec.attach .cmd.env._',
    'rexec.attach .cmd.env._ shape',
  ],
};

/** What a conversation waits for in a mode; undefined when it is to match. */
export function waitsFor(mode: Mode, name: string): string | undefined {
  return Object.keys(waitingByService[mode]).find((service) => waitingByService[mode][service]!.includes(name));
}

/** All conversations that wait. */
export function allWaiting(mode: Mode): string[] {
  return Object.values(waitingByService[mode]).flat();
}

export function mayDiffer(mode: Mode, name: string): readonly string[] {
  return otherwise[`${mode}:${name}`] ?? [];
}
