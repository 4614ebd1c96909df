/**
 * Starts that cannot be: each ends at once with one sentence that says why, leaves nothing behind, and does not touch what
 * belongs to others.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { Handle } from '../../core/handle/handle.ts';
import { flux, type Outcome, run, startInstance } from './instance.ts';
import { checkAnswers, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
function file(name: string, text = ''): string {
  fs.writeFileSync(path.join(folder, name), text);
  return path.join(folder, name);
}

function directory(name: string, mode = 0o755): string {
  fs.mkdirSync(path.join(folder, name));
  fs.chmodSync(path.join(folder, name), mode);
  return path.join(folder, name);
}

function start(args: readonly string[], temporary = folder): Promise<Outcome> {
  return run(flux, ['start', ...args], { env: { TMPDIR: temporary } });
}

const isRoot = process.getuid!() === 0;
const foreign = directory('foreign');
if (isRoot) fs.chownSync(foreign, 1, 1);

interface Row {
  readonly what: string;
  readonly args: readonly string[];
  readonly stderr: RegExp;
  /** 1 when absent. */
  readonly exit?: number;
  readonly skip?: string | false;
}

/** The same in an instance of two processes: what ends the one must not keep the other waiting. */
function severalProcesses(rows: readonly (readonly [string, readonly string[], RegExp])[]): Row[] {
  return rows.map(([what, args, stderr]) => ({
    what: `${what}, with several processes`,
    args: ['-s4', '--procs=2', ...args],
    stderr,
  }));
}

const rows: Row[] = [
  { what: 'an unknown option', args: ['--nosuch', 'true'], stderr: /^flux-start: unknown option '--nosuch'/ },
  { what: 'an unknown attribute', args: ['-Snosuch=1', 'true'], stderr: /^flux-start: nosuch: unknown attribute$/ },
  { what: 'a fixed attribute', args: ['-Ssize=3', 'true'], stderr: /^flux-start: size: .*may not be set/ },
  { what: 'a size of 0', args: ['-s0', 'true'], stderr: /^flux-start: 0 is no size/ },
  { what: 'a size below 0', args: ['-s-1', 'true'], stderr: /'-1'/ },
  { what: 'a size that is no number', args: ['-sx', 'true'], stderr: /'x'/ },
  { what: 'too large a size', args: ['-s9999999', 'true'], stderr: /9999999 is no size/ },
  { what: 'too few hosts', args: ['-s3', '--test-hosts=a,b', 'true'], stderr: /2 hosts for 3 ranks/ },
  { what: 'hosts without ranks', args: ['--test-hosts=a', 'true'], stderr: /^flux-start: --test-hosts goes only with/ },
  { what: 'an exit mode without ranks', args: ['--test-exit-mode=any', 'true'], stderr: /--test-exit-mode goes only/ },
  {
    what: 'a map that is none',
    args: ['-s1', '--test-pmi-clique=x', 'true'],
    stderr: /^flux-start: --test-pmi-clique: /,
  },
  { what: 'a wrapper', args: ['--wrap=gdb', 'true'], stderr: /^flux-start: --wrap: ranks are no processes/ },
  { what: 'no state', args: ['-r/nosuch', 'true'], stderr: /^flux-start: --recovery: \/nosuch: No such file/ },
  { what: 'no process', args: ['-s4', '--procs=0', 'true'], stderr: /--procs.*'0' is not a count from 1 on/ },
  { what: 'a process of no rank', args: ['--ranks=0', 'true'], stderr: /--ranks.*'0' is not a count from 1 on/ },
  {
    what: 'a process of too many ranks',
    args: ['--ranks=99999999', 'true'],
    stderr: /^flux-start: 99999999 is no size/,
  },
  {
    what: 'a time of the tree that is none',
    args: ['-Stbon.torpid_min=xx', 'true'],
    stderr: /^flux-start: tbon\.torpid_min: invalid .*'xx'$/,
  },
  {
    what: 'no table of [tbon]',
    args: ['-s3', '--conf=tbon=7', 'true'],
    stderr: /^flux-start: .*\[tbon\].*not a table$/,
  },
  ...severalProcesses([
    ['an unknown attribute', ['-Snosuch=1', 'true'], /^flux-start: nosuch: unknown attribute$/],
    ['too few hosts', ['--test-hosts=a,b', 'true'], /^flux-start: a,b names 2 hosts for 4 ranks$/],
    ['an unknown shape of tree', ['-Stbon.topo=ring', 'true'], /^flux-start: unknown topology scheme 'ring'$/],
    ['a time that is none', ['-Stbon.torpid_max=-1', 'true'], /^flux-start: tbon\.torpid_max: invalid .*'-1'$/],
    ['nobody to type', [], /^flux-start: stdin is not a tty.*$/],
    ['a state directory that is a file', [`-Sstatedir=${file('d')}`, 'true'], /^flux-start: .*\/d is not a directory$/],
  ]),
  { what: 'an unknown shape of tree', args: ['-Stbon.topo=ring', 'true'], stderr: /unknown topology scheme 'ring'/ },
  { what: 'a bad fanout', args: ['-Stbon.topo=kary:x', 'true'], stderr: /kary.*'x'/ },
  { what: 'a quorum beyond size', args: ['-Sbroker.quorum=7', 'true'], stderr: /broker\.quorum.*'7'/ },
  { what: 'a bad timeout', args: ['-Sbroker.shutdown-timeout=x', 'true'], stderr: /shutdown-timeout.*'x'/ },
  { what: 'a bad log level', args: ['-Slog-level=loud', 'true'], stderr: /^flux-start: log-level: .*'loud'/ },
  { what: 'too high a log level', args: ['-Slog-stderr-level=8', 'true'], stderr: /log-stderr-level: .*'8'/ },
  { what: 'a bad log mode', args: ['-Slog-stderr-mode=x', 'true'], stderr: /log-stderr-mode: .*'x'/ },
  {
    what: 'malformed TOML',
    args: ['-c', file('bad.toml', 'a = 1\nb = [\n'), 'true'],
    stderr: /^flux-start: Config file error: .*bad\.toml:\d/,
  },
  { what: 'no configuration', args: ['-c', `${folder}/nosuch`, 'true'], stderr: /Config file error: .*nosuch/ },
  { what: 'bad --conf', args: ['--conf={"a"', 'true'], stderr: /^flux-start: --conf: / },
  { what: 'too few routers', args: ['--conf=engine.routers=0', 'true'], stderr: /\[engine\].*'routers'/ },
  { what: 'an unknown key of [engine]', args: ['--conf=engine.x=0', 'true'], stderr: /\[engine\].*'x'/ },
  { what: 'no table of [engine]', args: ['--conf=engine=1', 'true'], stderr: /\[engine\].*not a table/ },
  { what: 'a small backlog', args: ['--conf=engine.client-backlog=1', 'true'], stderr: /\[engine\].*backlog/ },
  { what: 'nobody to type', args: [], stderr: /stdin is not a tty/ },
  { what: 'a run directory that is a file', args: [`-Srundir=${file('f')}`, 'true'], stderr: /\/f is not a directory/ },
  {
    what: 'a run directory in none',
    args: [`-Srundir=${folder}/no/such`, 'true'],
    stderr: /^flux-start: rundir: \/.*\/no\/such: No such file or directory$/,
  },
  {
    what: 'a run directory without permission',
    args: [`-Srundir=${directory('closed', 0o300)}`, 'true'],
    stderr: /\/closed does not give its owner/,
  },
  {
    what: 'a run directory of somebody else',
    args: [`-Srundir=${foreign}`, 'true'],
    stderr: /\/foreign is not owned by the instance owner/,
    skip: !isRoot && 'only root can make such a folder',
  },
  {
    what: 'a run directory with too long a name',
    args: [`-Srundir=${folder}/${'x'.repeat(100)}`, 'true'],
    stderr: /xxx\/local-0 is \d+ bytes long, and a socket's path has at most 107/,
  },
  { what: 'a state directory that is a file', args: [`-Sstatedir=${file('s')}`, 'true'], stderr: /\/s is not a dir/ },
  { what: 'a program that is not there', args: ['nosuch', 'a'], exit: 127, stderr: /nosuch.*No such file/ },
  { what: 'a program that is none', args: [file('plain'), 'a'], exit: 126, stderr: /plain.*Permission denied/ },
];

describe('a start fails with a sentence and leaves nothing behind:', { concurrency: 3 }, () => {
  for (const { what, args, stderr, exit = 1, skip = false } of rows) {
    test(what, { skip }, async () => {
      const temporary = fs.mkdtempSync(path.join(folder, 'tmp-'));
      const outcome = await start(args, temporary);
      assert.match(outcome.stderr.trimEnd(), stderr);
      assert.equal(outcome.exit, exit);
      assert.equal(outcome.stdout, '');
      assert.doesNotMatch(outcome.stderr, /^\s+at .*\d:\d+\)?$|thread \d+ .*died/m, 'it shows the code');
      assert.deepEqual(fs.readdirSync(temporary), []);
    });
  }
});

test('a run directory with the sticky bit gets a folder of the instance in it, which goes at the end', async () => {
  const sticky = directory('sticky', 0o1777);
  const outcome = await start([`-Srundir=${sticky}`, 'sh', '-c', 'echo $FLUX_URI; flux getattr rundir']);
  const [uri, rundir] = outcome.stdout.trim().split('\n');
  assert.match(rundir!, /\/sticky\/flux-\w{6}$/);
  assert.equal(uri, `local://${rundir}/local-0`);
  assert.deepEqual(fs.readdirSync(sticky), []);
});

test('a run directory that was there stays, without the sockets', async () => {
  const own = directory('own', 0o700);
  fs.writeFileSync(path.join(own, 'keep'), '');
  assert.equal((await start([`-Srundir=${own}`, '-s2', 'true'])).exit, 0);
  assert.deepEqual(fs.readdirSync(own), ['keep']);
});

test('a relative run directory is known by its whole path', async () => {
  const relative = path.relative(process.cwd(), path.join(folder, 'relative'));
  const outcome = await start([`-Srundir=${relative}`, 'sh', '-c', 'cd / && flux getattr rundir']);
  assert.equal(outcome.stdout, `${folder}/relative\n`, outcome.stderr);
});

test('a run directory that was not there goes, unless it is to stay', async () => {
  const made = path.join(folder, 'made');
  assert.equal((await start([`-Srundir=${made}`, 'true'])).exit, 0);
  assert.ok(!fs.existsSync(made));
  assert.equal((await start([`-Srundir=${made}`, '-Srundir-cleanup=0', 'true'])).exit, 0);
  assert.ok(fs.existsSync(made));
});

test('a second start on the run directory of a running instance fails, and the first goes on', async () => {
  const shared = directory('shared', 0o700);
  const first = await startInstance(2, [`-Srundir=${shared}`]);
  const handle = await Handle.open(first.uri);
  for (const more of [[], ['-Srundir-cleanup=1']]) {
    const second = await start([`-Srundir=${shared}`, ...more, 'true']);
    assert.equal(second.exit, 1);
    assert.match(second.stderr, /local-0 is in use by another instance/);
    await handle.rpc('broker.ping', {}, { nodeid: 1 });
    await checkAnswers(first.uri);
  }
  await handle.close();
  assert.equal((await first.stop()).exit, 0);
});

test('a start takes over the sockets that an instance left when it was killed', async () => {
  const left = directory('left', 0o700);
  const first = await startInstance(1, [`-Srundir=${left}`]);
  process.kill(first.pid, 'SIGKILL');
  await first.stop();
  assert.ok(fs.existsSync(path.join(left, 'local-0')));
  const outcome = await start([`-Srundir=${left}`, 'flux', 'getattr', 'rundir']);
  assert.deepEqual([outcome.exit, outcome.stdout], [0, `${left}\n`]);
});

/** Runs a script in a mount namespace with a tiny file system of its own at `$1`. */
function onTinyDisk(options: string, script: string): Outcome {
  const mount = path.join(folder, 'tiny');
  fs.mkdirSync(mount, { recursive: true });
  const { stdout, stderr, status, signal } = spawnSync(
    'unshare',
    [
      '-rm',
      'bash',
      '-c',
      `mount -t tmpfs -o mode=700,${options} none "$1" && exec bash -c '${script}' bash "$@"`,
    ].concat(['bash', mount, flux]),
    { encoding: 'utf8', timeout: 20_000 },
  );
  return { stdout, stderr, exit: status ?? signal! };
}

const canMount = onTinyDisk('size=4k', 'true').exit === 0;

describe('a full disk', { skip: !canMount && 'this user may not mount a file system here' }, () => {
  test('under the run directory fails the start', () => {
    const outcome = onTinyDisk('nr_inodes=2', '"$2" start -Srundir=$1/run true');
    assert.equal(outcome.exit, 1);
    assert.match(outcome.stderr, /^flux-start: .*No space left on device/);
    assert.doesNotMatch(outcome.stderr, /^\s+at /m);
  });

  test('that leaves room for one socket fails those who want another, and nobody else', () => {
    const outcome = onTinyDisk(
      'nr_inodes=4',
      '"$2" start -s3 -Srundir=$1/run bash -c "for r in 1 2; do $2 exec -r \\$r $2 getattr rank; done; $2 getattr size"',
    );
    assert.equal(outcome.stdout, '1\n3\n', outcome.stderr);
    assert.match(outcome.stderr, /local-2: No space left on device/);
  });

  test('under the run directory fails those who write to it, and nobody else', () => {
    const commands = [
      'cat /dev/zero >$1/run/fill',
      'flux ping -c1 2 >/dev/null && echo pinged',
      'flux exec -n -r1-2 flux getattr rank | sort',
      'flux module load --exec barrier && flux module load --name=pulse heartbeat && flux module remove barrier',
      'cat $1/run/fill >$1/run/more',
      'flux logger told && flux dmesg | grep -c told',
    ];
    fs.writeFileSync(
      path.join(folder, 'fill.sh'),
      `PATH=${path.dirname(flux)}:$PATH\n${commands.join('\n')}\nls $1/run\n`,
    );
    const outcome = onTinyDisk('size=64k', `"$2" start -s3 --rundir=$1/run bash ${folder}/fill.sh "$1"; ls -A $1`);
    assert.equal(outcome.stderr.match(/^cat: .*No space left on device$/gm)?.length, 2, outcome.stderr);
    assert.equal(outcome.stdout, 'pinged\n1\n2\n1\nfill\nlocal-0\nlocal-1\nlocal-2\nmore\n');
    assert.equal(outcome.exit, 0);
  });

  test('under the log file loses lines, says so once, and nothing else', () => {
    const script = '"$2" start -Slog-filename=$1/log bash -c "seq 5000 | $2 logger; $2 getattr size"';
    const outcome = onTinyDisk('size=8k', script);
    assert.equal(outcome.exit, 0, outcome.stderr);
    assert.equal(outcome.stdout, '1\n');
    assert.equal(outcome.stderr.match(/log-filename .*no space left/gi)?.length, 1, outcome.stderr);
  });
});
