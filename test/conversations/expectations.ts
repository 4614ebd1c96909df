/** What of the recorded conversations is not as it was recorded. */

import type { Mode } from './replay.ts';

const storedObjects: readonly string[] = [
  'kvs.stats-get .cache.obj size total (MiB)',
  ...['count', 'mean', 'stddev'].map((name) => `kvs.stats-get .cache.obj size (KiB).${name}`),
];

const processIds: readonly string[] = [
  '0-shell-<id>.proctable .pids.length',
  '0-shell-<id>.proctable .pids[]',
  '0-shell-<id>.proctable .pids[] kind',
  '0-shell-<id>.proctable .pids[][]',
];

const firstExit: readonly string[] = ['rank', 'localid'].map(
  (field) => `job-info.eventlog-watch .event<shell.task-exit>.${field}`,
);

/** Differences that do not count, as `thatCount` names them. */
const otherwise: Readonly<Record<string, readonly string[]>> = {
  // Process id, times, folders and ids are those of the instance.
  'wire:attr-lsattr-values': ['attr.get .value', 'attr.get .value shape'],
  'cli:attr-lsattr-values': ['stdout line 5', 'stdout line 15 shape', 'stdout line 39 shape'],
  // The root holds event logs, with their times.
  'wire:proxy-kvs': ['kvs.commit .rootref'],
  'wire:raw-streaming-flag-extra': ['kvs.getroot .rootref'],
  'wire:raw-to-rank-1': ['kvs.getroot .rootref'],
  'wire:shutdown-on-rank-1': ['kvs.getroot .rootref'],
  'cli:sproc-ps': ['stdout line 2', 'stdout line 3'],
  // How many events, requests, commits and objects there were before is each broker's own.
  'wire:fsck-repair': ['content-backing.checkpoint-get .value[].sequence'],
  'wire:gc-run': ['content-backing.sweep .deleted'],
  'wire:gc-verbose-namespace': ['content-backing.sweep .deleted'],
  'wire:kvs-stats': storedObjects,
  'wire:kvs-stats-parse-namespace': storedObjects,
  'cli:kvs-stats': ['stdout line 5'],
  'cli:event-pub-synchronous-bad-json': ['stdout line 1'],
  'cli:module-stats': ['stdout line 3', 'stdout line 4', 'stdout line 9', 'stdout line 10'],
  // Nor is it known for how long it has run, in milliseconds or seconds.
  'cli:misc-uptime': ['stdout line 1'],
  'cli:misc-uptime-drained': ['stdout line 1'],
  'cli:misc-uptime-queue-stopped': ['stdout line 1'],
  'cli:misc-uptime-rank-one': ['stdout line 1'],
  // Event logs hold times, which are wrapped, and of more or fewer digits; runs take as long as they take.
  'wire:misc-startlog': ['kvs.lookup .val.data shape'],
  'wire:misc-startlog-check': ['kvs.lookup .val.data shape'],
  'wire:misc-startlog-finished': ['kvs.lookup .val.data shape'],
  'wire:misc-startlog-unknown-event': ['kvs.lookup .val.data shape'],
  'cli:misc-startlog': ['stdout line 1'],
  'cli:misc-startlog-finished': ['stdout line 1'],
  'cli:misc-startlog-unknown-event': ['stdout line 1'],
  // A ping holds nanoseconds, of eight or nine digits.
  'wire:overlay-trace': ['overlay.trace .payload_size'],
  'wire:overlay-rpc-trace': ['overlay.trace .payload_size'],
  'cli:overlay-trace': ['stdout line 1', 'stdout line 2'],
  'wire:module-trace': ['module.trace .payload_size'],
  'cli:module-trace': ['stdout line 1', 'stdout line 2'],
  // flux-core's `dir -N` looks for links in the namespace of the environment, and shows none of another.
  'wire:kvs-put-through-symlink': ['post lines'],
  'cli:kvs-put-through-symlink': ['post lines'],
  // It may wait for resources yet.
  'wire:watch-active-later': ['job-list.list .jobs[].state'],
  // A job that may start may have started.
  'wire:job-rpc-urgency': ['job-manager.urgency errnum'],
  // What a job prints has words of our own, or the time that something took.
  'wire:multi-prog-missing-file': ['job-info.eventlog-watch .event<data>.data shape'],
  'wire:multi-prog-no-line': ['job-info.eventlog-watch .event<data>.data shape'],
  'wire:pmi-bad-method': ['job-info.eventlog-watch .event<data>.data shape'],
  'wire:pmi-exchange': ['job-info.eventlog-watch .event<data>.data'],
  // Whether a shell is there still is a matter of luck.
  'wire:pmi-get-missing-key': ['0-shell-<id>.stdin errnum', 'job-info.eventlog-watch .event<data>.data shape'],
  // Where the tasks of a nested instance say something of it, they tell the time, and how long a program ran.
  'wire:alloc-exit-code': ['job-info.eventlog-watch .event<data>.data'],
  'wire:alloc-missing-program': ['job-info.eventlog-watch .event<data>.data'],
  // Its ranks end together.
  'wire:alloc-two-nodes': ['job-info.eventlog-watch .event<shell.task-exit>.rank'],
  // So do four tasks on two nodes, each of which may be the first.
  'wire:job-taskmap-hostname': firstExit,
  'wire:job-taskmap-hosts': firstExit,
  // The next event may come before the client has had enough.
  'wire:bulksubmit-watch': ['job-info.eventlog-watch errnum'],
  'wire:submit-watch': ['job-info.eventlog-watch errnum'],
  'wire:submit-watch-stderr': ['job-info.eventlog-watch errnum', 'job-info.eventlog-watch answer'],
  // A short job's shell may be over when its input comes.
  'wire:run-env-rules': ['0-shell-<id>.stdin errnum'],
  // The client writes the file.
  'wire:submit-log': ['post lines'],
  // Services that take part in its own start, and that look at the memory of its C library.
  'wire:raw-guest-broker-services': ['bootstrap.whois errnum', 'heaptrace.start errnum'],
  // An init that fails says what was wrong, not the errno that was left; and the log has a header.
  'wire:run-output-bad-directory': [
    'job-info.eventlog-watch .event<exception>.note shape',
    'job-info.eventlog-watch errnum',
  ],
  'wire:shell-output-limit-bad': [
    'job-info.eventlog-watch .event<exception>.note shape',
    'job-info.eventlog-watch errnum',
  ],
  'wire:shell-rlimit-bad-type': ['job-info.eventlog-watch .event<exception>.note shape'],
  'wire:shell-stage-in-missing': ['job-info.eventlog-watch .event<exception>.note shape'],
  // The streams of tasks that are killed end in the log, too; which of two tasks was first is their matter.
  'wire:pmi-barrier-abort': [
    'job-info.eventlog-watch errnum',
    'job-info.eventlog-watch .event<data>.rank',
    ...['exitcode', 'localid', 'rank', 'signaled', 'wait_status'].map(
      (field) => `job-info.eventlog-watch .event<shell.task-exit>.${field}`,
    ),
  ],
  'wire:shell-exit-on-error': ['job-info.eventlog-watch errnum'],
  'wire:shell-exit-timeout': ['job-info.eventlog-watch errnum'],
  // Process ids, which are told by their distances.
  'wire:job-hostpids': processIds,
  'wire:job-hostpids-ranks': processIds,
  'cli:job-hostpids': ['stdout line 1'],
  'cli:job-hostpids-ranks': ['stdout line 1'],
  // Modules come in the order of a hash table, and are files there.
  'wire:module-list': [
    'module.list .mods[].idle',
    'module.list .mods[].name shape',
    'module.list .mods[].path shape',
    'module.list .mods[].services.length',
    'module.list .mods[].services[] shape',
  ],
  // The environment of the caller is in the jobspec, and the length of his folder's name.
  'wire:job-info-jobspec-original': ['job-info.lookup .J shape'],
  'wire:job-submit-large': ['post line 1'],
  'cli:job-submit-large': ['post line 1'],
  // What its last failure left in errno, where its cron says nothing of missing arguments of an interval; here EPROTO.
  'wire:cron-rpc-errors': ['cron.create errnum'],
  // Its `cron stop` names the first entry again and again.
  'cli:cron-stop-several': ['stdout line 2'],
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

/** Conversations whose lines flux-core prints in the order of a hash table, another in each run. */
const unordered: readonly string[] = ['cron-dump', 'cron-task-bad-rank', 'module-list'];

/** Whether the order of the lines that a command prints does not count. */
export function isUnordered(name: string): boolean {
  return unordered.includes(name);
}

/**
 * Conversations in which a shell says something of its own: where flux-core names its plugins and settings, says the same
 * thing twice, or tells that an init failed by the errno that was left, here one message says what was wrong.
 */
const ownShellLog: readonly string[] = [
  'run-output-bad-directory',
  'shell-output-limit-bad',
  'shell-output-mode-bad',
  'shell-rlimit-bad-type',
  'shell-stage-in-missing',
  'shell-verbose',
];

/** Whether what shells log does not count. */
export function hasOwnShellLog(name: string): boolean {
  return ownShellLog.includes(name);
}

export function mayDiffer(mode: Mode, name: string): readonly string[] {
  return otherwise[`${mode}:${name}`] ?? [];
}
