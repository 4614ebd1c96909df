/** The subcommands: what `flux help` says of each, and where it is. */

export interface Subcommand {
  /** Runs it with the words behind its name; resolves to the exit code. */
  run(args: readonly string[]): Promise<number>;
}

export interface CommandEntry {
  /** One line for `flux help`; those without are not listed there. */
  readonly summary?: string;
  readonly group: 'instance' | 'messages' | 'programs' | 'jobs' | 'tools';
  readonly load: () => Promise<Subcommand>;
}

export const commands: Readonly<Record<string, CommandEntry>> = {
  start: {
    group: 'instance',
    summary: 'Start a Flux instance and run a program in it',
    load: () => import('./start.ts'),
  },
  getattr: { group: 'instance', summary: 'Show a broker attribute', load: () => import('./getattr.ts') },
  setattr: { group: 'instance', summary: 'Set a broker attribute', load: () => import('./setattr.ts') },
  lsattr: { group: 'instance', summary: 'List broker attributes', load: () => import('./lsattr.ts') },
  pmi: {
    group: 'programs',
    summary: 'Try the process management interface of a launcher',
    load: () => import('./pmi.ts'),
  },
  exec: { group: 'programs', summary: 'Run a program on many ranks at once', load: () => import('./exec.ts') },
  submit: { group: 'jobs', summary: 'Submit a job to run later', load: () => import('./submit.ts') },
  run: { group: 'jobs', summary: 'Run a job and wait for it', load: () => import('./run.ts') },
  bulksubmit: { group: 'jobs', summary: 'Submit a job for each input', load: () => import('./bulksubmit.ts') },
  batch: {
    group: 'jobs',
    summary: 'Submit a script that gets an instance of its own',
    load: () => import('./batch.ts'),
  },
  alloc: { group: 'jobs', summary: 'Start an instance on resources of its own', load: () => import('./alloc.ts') },
  uptime: { group: 'instance', summary: 'Tell how long the instance has been up', load: () => import('./uptime.ts') },
  resource: { group: 'instance', summary: 'List resources, and drain them', load: () => import('./resource.ts') },
  overlay: { group: 'instance', summary: 'Show the tree of ranks, and how it is', load: () => import('./overlay.ts') },
  config: { group: 'instance', summary: 'Show and change the configuration', load: () => import('./config.ts') },
  startlog: {
    group: 'instance',
    summary: 'List when the instance was started and when it ended',
    load: () => import('./startlog.ts'),
  },
  lptest: { group: 'tools', summary: 'Print lines of a regular pattern', load: () => import('./lptest.ts') },
  version: { group: 'tools', summary: 'Show versions', load: () => import('./version.ts') },
  ping: { group: 'messages', summary: 'Measure how long a service takes to answer', load: () => import('./ping.ts') },
  kvs: { group: 'instance', summary: 'Read and write the key-value store', load: () => import('./kvs.ts') },
  archive: {
    group: 'instance',
    summary: 'Put files into the KVS, and get them out',
    load: () => import('./archive.ts'),
  },
  content: {
    group: 'instance',
    summary: 'Load and store blobs of the content store',
    load: () => import('./content.ts'),
  },
  filemap: { group: 'instance', load: () => import('./filemap.ts') },
  dump: { group: 'instance', summary: 'Write a snapshot of the KVS to an archive', load: () => import('./dump.ts') },
  restore: { group: 'instance', summary: 'Put an archive into the KVS', load: () => import('./restore.ts') },
  fsck: {
    group: 'instance',
    summary: 'Look whether the content of the KVS is complete',
    load: () => import('./fsck.ts'),
  },
  gc: { group: 'instance', summary: 'Remove what the KVS no longer refers to', load: () => import('./gc.ts') },
  event: { group: 'messages', summary: 'Publish events, and show them', load: () => import('./event.ts') },
  dmesg: { group: 'messages', summary: "Show the broker's log", load: () => import('./dmesg.ts') },
  logger: { group: 'messages', summary: "Write to the broker's log", load: () => import('./logger.ts') },
  sproc: {
    group: 'programs',
    summary: 'List, signal and wait for programs on ranks',
    load: () => import('./sproc.ts'),
  },
  jobs: { group: 'jobs', summary: 'List jobs', load: () => import('./jobs.ts') },
  pgrep: { group: 'jobs', summary: 'Look for jobs by their names', load: () => import('./pgrep.ts') },
  pkill: { group: 'jobs', summary: 'Cancel jobs by their names', load: () => import('./pkill.ts') },
  pstree: { group: 'jobs', summary: 'Show jobs as a tree', load: () => import('./pstree.ts') },
  env: {
    group: 'programs',
    summary: 'Print the environment that programs get, or run one in it',
    load: () => import('./env.ts'),
  },
  cron: {
    group: 'programs',
    summary: 'Run commands after a time, at events and at dates',
    load: () => import('./cron.ts'),
  },
  job: {
    group: 'jobs',
    summary: 'Show, change, follow and signal jobs',
    load: () => import('./job.ts'),
  },
  cancel: { group: 'jobs', summary: 'Cancel jobs', load: () => import('./cancel.ts') },
  shutdown: { group: 'instance', summary: 'End a Flux instance in order', load: () => import('./shutdown.ts') },
  proxy: {
    group: 'instance',
    summary: 'Run a program whose Flux commands go to another instance',
    load: () => import('./proxy.ts'),
  },
  uri: { group: 'instance', summary: 'Show the URI of a Flux instance', load: () => import('./uri.ts') },
  module: {
    group: 'instance',
    summary: 'List, load and remove modules, and look into them',
    load: () => import('./module.ts'),
  },
  modprobe: {
    group: 'instance',
    summary: 'Load and remove modules with all that they require',
    load: () => import('./modprobe.ts'),
  },
  queue: {
    group: 'jobs',
    summary: 'List queues, and enable, start and stop them',
    load: () => import('./queue.ts'),
  },
  watch: { group: 'jobs', summary: 'Follow jobs: what they write, how they end', load: () => import('./watch.ts') },
  update: { group: 'jobs', summary: 'Change the jobspec of a job', load: () => import('./update.ts') },
  'multi-prog': {
    group: 'jobs',
    summary: 'Run another program for each task of a job',
    load: () => import('./multi-prog.ts'),
  },
  'post-job-event': { group: 'jobs', load: () => import('./post-job-event.ts') },
  housekeeping: {
    group: 'jobs',
    summary: 'Show and end what tidies nodes up behind jobs',
    load: () => import('./housekeeping.ts'),
  },
  jobtap: {
    group: 'jobs',
    summary: 'Load and remove plugins of the job manager',
    load: () => import('./jobtap.ts'),
  },
  hostlist: { group: 'tools', summary: 'Put lists of hosts together', load: () => import('./hostlist.ts') },
  idset: { group: 'tools', summary: 'Put sets of ids together', load: () => import('./idset.ts') },
  R: { group: 'tools', summary: 'Make, read and combine resource sets', load: () => import('./R.ts') },
  keygen: { group: 'tools', summary: 'Make a certificate for the overlay network', load: () => import('./keygen.ts') },
  top: { group: 'tools', load: () => import('./top.ts') },
  admin: { group: 'tools', summary: 'Do what only administrators do', load: () => import('./admin.ts') },
  'job-validator': { group: 'tools', load: () => import('./job-validator.ts') },
  engine: {
    group: 'instance',
    summary: 'Show the threads of an instance, and how busy they are',
    load: () => import('./engine.ts'),
  },
  doctor: {
    group: 'instance',
    summary: 'Say what keeps an instance from starting here',
    load: () => import('./doctor.ts'),
  },
  relay: { group: 'instance', load: () => import('./relay.ts') },
  broker: { group: 'instance', load: () => import('./broker.ts') },
  help: { group: 'tools', summary: 'Show commands, and the manual page of one', load: () => import('./help.ts') },
};
