/** What a child is given besides its pipes, by the addon: a terminal, a session, processors, limits; and what it used. */

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import test from 'node:test';
import { getLimit, type LimitName, limitNames } from '../../../native/index.ts';
import { readLimit } from '../../../native/limits.ts';
import type { Process, ProcessSpec, ProcessUsage } from '../../../native/process.ts';
import { implementations, openDescriptors, program, requireAddon, run, sh, until } from './support.ts';

requireAddon();
const [[, addon], [, fallback]] = implementations() as [
  ReturnType<typeof implementations>[0],
  ReturnType<typeof implementations>[0],
];
const { SIGCONT, SIGTERM } = os.constants.signals;

const allowed = fs.readFileSync('/proc/self/status', 'utf8').match(/^Cpus_allowed_list:\s*(\S+)/m)![1]!;
const first = Number(allowed.match(/\d+/)![0]);
const core = getLimit('core');

const outcomes: [name: string, spec: ProcessSpec, output: string][] = [
  [
    'a processor',
    program(['grep', '-o', '^Cpus_allowed_list:.*', '/proc/self/status'], { cpus: [first] }),
    `Cpus_allowed_list:\t${first}\n`,
  ],
  [
    'those of it that are there',
    program(['grep', '-o', '^Cpus_allowed_list:.*', '/proc/self/status'], { cpus: [first, 60000] }),
    `Cpus_allowed_list:\t${first}\n`,
  ],
  [
    'no processors of its own',
    program(['grep', '-o', '^Cpus_allowed_list:.*', '/proc/self/status'], { cpus: [] }),
    `Cpus_allowed_list:\t${allowed}\n`,
  ],
  ['a limit', program(sh('ulimit -Sn'), { limits: [{ limit: 'nofile', soft: 17 }] }), '17\n'],
  [
    'a limit below its own descriptors',
    program(sh('ulimit -Sn; readlink /proc/self/fd/9 | cut -c1-4'), {
      stdio: ['null', 'output', 2, 'closed', 'closed', 'closed', 'closed', 'closed', 'closed', { sameAs: 1 }],
      limits: [{ limit: 'nofile', soft: 9 }],
    }),
    '9\npipe\n',
  ],
  [
    'several limits',
    program(sh('ulimit -Ss; ulimit -Sc'), {
      limits: [
        { limit: 'stack', soft: 1 << 20 },
        { limit: 'core', soft: 0 },
      ],
    }),
    '1024\n0\n',
  ],
  [
    'a limit is lowered to the hard one',
    program(sh('ulimit -Sn | grep -c unlimited; ulimit -Hn'), { limits: [{ limit: 'nofile', soft: Infinity }] }),
    `0\n${getLimit('nofile').hard}\n`,
  ],
  [
    'no limit',
    program(sh('ulimit -Sc'), { limits: [{ limit: 'core', soft: Infinity }] }),
    core.hard === Infinity ? 'unlimited\n' : `${core.hard / 1024}\n`,
  ],
  ['a mask of file modes', program(sh('umask'), { umask: 0o27 }), '0027\n'],
  ['a session', program(sh('cut -d" " -f5,6 /proc/$$/stat; echo $$'), { session: true }), 'PID PID\nPID\n'],
  [
    'one pipe for both outputs',
    program(sh('echo out; echo err >&2; echo out'), { stdio: ['null', 'output', { sameAs: 1 }] }),
    'out\nerr\nout\n',
  ],
  [
    'nothing shared',
    program(sh('test -e /proc/self/fd/4 || echo none'), { stdio: ['null', 'output', 2, 'closed', { sameAs: 3 }] }),
    'none\n',
  ],
];

for (const [name, spec, expected] of outcomes) {
  test(name, async () => {
    let pid = 0;
    const { output } = await run(addon, spec, (child) => {
      pid = child.pid;
      if (spec.stdio[0] === 'input') child.end(0);
    });
    assert.equal(output[1], expected.replaceAll('PID', String(pid)));
  });
}

const failures: [name: string, more: Partial<ProcessSpec>, code: string, step: string][] = [
  ['no processor that is there', { cpus: [60000] }, 'EINVAL', 'cpus'],
  ['no processor', { cpus: [-1] }, 'EINVAL', 'cpus'],
  ['too high a processor', { cpus: [1 << 20] }, 'EINVAL', 'cpus'],
  ['no such limit', { limits: [{ limit: 'other' as LimitName, soft: 1 }] }, 'EINVAL', 'limits'],
  ['the same as nothing', { stdio: ['null', { sameAs: 7 }] }, 'EBADF', 'stdio'],
  ['the same as itself', { stdio: ['null', { sameAs: 1 }] }, 'EBADF', 'stdio'],
];

for (const [name, more, code, step] of failures) {
  test(`fails: ${name}`, () => {
    const before = openDescriptors();
    const events = { data: () => assert.fail(), exit: () => assert.fail() };
    assert.throws(() => addon(program(['true'], more), events), { code, step });
    assert.equal(openDescriptors(), before);
  });
}

const terminal: ProcessSpec['stdio'] = ['terminal', { sameAs: 0 }, { sameAs: 0 }];

test('a terminal: its size, what is typed, and its end', async () => {
  const before = openDescriptors();
  const spec = program(sh('tty >/dev/null && stty size && read line && echo "<$line>" >&2; exit 3'), {
    stdio: terminal,
    windowSize: { rows: 7, columns: 33 },
  });
  const { status, output } = await run(addon, spec, (child) => child.write(0, Buffer.from('typed\n')));
  assert.equal(status, 3 << 8);
  assert.equal(output[0]!.replace(/^typed\r\n/m, ''), '7 33\r\n<typed>\r\n');
  await until(() => openDescriptors() === before, 'the terminal is closed');
});

test('a terminal is its controlling one, and interrupts its foreground', async () => {
  const spec = program(sh('trap "echo interrupted; exit 4" INT; echo ready >/dev/tty; while :; do sleep 0.05; done'), {
    stdio: terminal,
  });
  let seen = '';
  const status = await new Promise<number>((resolve) => {
    let ended = 0;
    const child = addon(spec, {
      data: (_stream, bytes) => {
        if (!bytes) return;
        const before = seen;
        seen += bytes;
        if (!before.includes('ready') && seen.includes('ready')) child.write(0, Buffer.from('\x03'));
      },
      exit: (value) => {
        ended = value;
      },
      close: () => resolve(ended),
    });
  });
  assert.equal(status, 4 << 8);
  assert.match(seen, /ready[\s\S]*interrupted/);
});

test('a terminal gets another size; other streams have none', async () => {
  const spec = program(sh('trap "stty size; exit 0" WINCH; echo ready; while :; do sleep 0.05; done'), {
    stdio: terminal,
  });
  let seen = '';
  await new Promise<void>((resolve) => {
    const child = addon(spec, {
      data: (_stream, bytes) => {
        if (bytes && !seen) child.resize(0, { rows: 50, columns: 132 });
        seen += bytes ?? '';
      },
      exit: () => {},
      close: () => {
        child.resize(0, { rows: 1, columns: 1 });
        resolve();
      },
    });
    assert.throws(() => child.resize(1, { rows: 1, columns: 1 }), { code: 'ENOTTY' });
  });
  assert.match(seen, /50 132/);
});

test('output that a terminal holds when the child ends is read, paused or not', async () => {
  for (const pausing of [false, true]) {
    let seen = '';
    await new Promise<void>((resolve) => {
      const child: Process = addon(program(sh('echo last words'), { stdio: terminal }), {
        data: (_stream, bytes) => {
          seen += bytes ?? '|end';
        },
        exit: () => child.resume(0),
        close: resolve,
      });
      if (pausing) child.pause(0);
    });
    assert.equal(seen, 'last words\r\n|end');
  }
});

test('what a process used comes with its exit', async () => {
  const usage = await new Promise<ProcessUsage | undefined>((resolve) => {
    addon(program(sh('i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done'), { stdio: [] }), {
      data: () => {},
      exit: (_status, used) => resolve(used),
    });
  });
  assert.ok(usage && usage.utime > 0.005 && usage.utime < 60 && usage.stime >= 0, JSON.stringify(usage));
  assert.ok(usage.maxrss > 300 && usage.maxrss < 1 << 20);
});

test('a process that stops before its first instruction', async () => {
  let stopped = false;
  const { status, output } = await run(
    addon,
    program(['echo', 'runs'], { stdio: ['null', 'output', 2], stopInExec: true }),
    (child) => {
      const stat = () => fs.readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(' ')[2];
      until(() => stat() === 'T', 'the process has stopped').then(() => {
        stopped = true;
        assert.equal(fs.readlinkSync(`/proc/${child.pid}/exe`).includes('node'), false);
        child.kill(SIGCONT);
      });
    },
  );
  assert.deepEqual([status, output[1], stopped], [0, 'runs\n', true]);
});

test('a session is signalled as a group', async () => {
  const { status } = await run(addon, program(sh('sleep 100 & echo; wait'), { session: true }), (child) => {
    setTimeout(() => child.kill(SIGTERM), 50);
  });
  assert.equal(status, SIGTERM);
});

test('limits of this process, as the addon and /proc have them', () => {
  for (const name of limitNames) assert.deepEqual(getLimit(name), readLimit('self', name), name);
});

test('without the addon: outputs that are the same come as one, a terminal does not', async () => {
  const spec = program(sh('echo out; echo err >&2'), {
    stdio: ['null', 'output', { sameAs: 1 }],
    cpus: [first],
    umask: 0,
  });
  const { output } = await run(fallback, spec);
  assert.deepEqual([output[1]!.split('\n').sort(), output[2]], [['', 'err', 'out'], '']);
  const events = { data: () => assert.fail(), exit: () => assert.fail() };
  assert.throws(() => fallback(program(['true'], { stdio: terminal }), events), { code: 'ENOSYS', step: 'stdio' });
});
