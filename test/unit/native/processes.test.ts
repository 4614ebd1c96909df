/**
 * Child processes, the addon's and the fallback's by the same cases: how they end, why they do not start, what goes
 * through their streams, and that nothing is left behind.
 */

import assert from 'node:assert/strict';
import { exec } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { SpawnError, takeStopped } from '../../../native/index.ts';
import type { ProcessSpec } from '../../../native/process.ts';
import { implementations, openDescriptors, program, run, sh, temporaryFolder, until } from './support.ts';

const folder = temporaryFolder();
const { SIGKILL, SIGTERM, SIGSTOP, SIGCONT, SIGPIPE } = os.constants.signals;
const MiB = 1024 * 1024;

function file(name: string, text: string, mode: number): string {
  const full = path.join(folder, name);
  fs.mkdirSync(path.dirname(full), { recursive: true });
  fs.writeFileSync(full, text, { mode });
  return full;
}

const plain = file('plain', 'not a program', 0o644);
const script = file('script', 'echo "script $0 $1"', 0o755);
const tool = file('first/tool', '#!/bin/sh\necho first', 0o644);
file('second/tool', '#!/bin/sh\necho second', 0o755);

const outcomes: [name: string, spec: ProcessSpec, status: number, output: string][] = [
  ['exit 0', program(['true']), 0, ''],
  ['exit 1', program(['false']), 1 << 8, ''],
  ['exit 255', program(sh('exit 255')), 255 << 8, ''],
  ['a signal', program(sh('kill -KILL $$')), SIGKILL, ''],
  ['output', program(['echo', 'a', 'b c', '']), 0, 'a b c \n'],
  ['argv[0] of its own', program(['other', '-c', 'echo $0'], { file: 'sh' }), 0, 'other\n'],
  ['UTF-8 arguments', program(['printf', '%s', 'ƒ2kWtx', '']), 0, 'ƒ2kWtx'],
  ['an environment', program(['/usr/bin/env'], { env: ['A=1', 'B=x=y', 'C='] }), 0, 'A=1\nB=x=y\nC=\n'],
  ['an empty environment', program(['/usr/bin/env'], { env: [] }), 0, ''],
  ['a working directory', program(['pwd', '-P'], { cwd: fs.realpathSync(folder) }), 0, `${fs.realpathSync(folder)}\n`],
  ['a path relative to it', program(['second/tool'], { cwd: folder }), 0, 'second\n'],
  ['a script without an interpreter', program([script, 'x']), 0, `script ${script} x\n`],
  ['the PATH of the child', program(['tool'], { env: [`PATH=${folder}/second`] }), 0, 'second\n'],
  [
    'a PATH with a file that may not run',
    program(['tool'], { env: [`PATH=${folder}/first:${folder}/second`] }),
    0,
    'second\n',
  ],
  ['an empty folder in PATH', program(['tool'], { env: ['PATH=/nowhere:'], cwd: `${folder}/second` }), 0, 'second\n'],
  ['no PATH', program(['echo', 'x'], { env: [] }), 0, 'x\n'],
  ['no streams', program(['true'], { stdio: ['null', 'null', 'null'] }), 0, ''],
  ['/dev/null', program(['readlink', '/proc/self/fd/0'], { stdio: ['null', 'output', 'null'] }), 0, '/dev/null\n'],
  [
    '/dev/null above the standard three',
    program(['readlink', '/proc/self/fd/3'], { stdio: ['null', 'output', 2, 'null'] }),
    0,
    '/dev/null\n',
  ],
  ['default signal dispositions', program(['grep', '-c', '-E', 'Sig(Blk|Ign):\\s*0+$', '/proc/self/status']), 0, '2\n'],
  ['a process group', program(sh('test $(cut -d" " -f5 /proc/$$/stat) = $$'), { processGroup: true }), 0, ''],
  ['our process group', program(sh('test $(cut -d" " -f5 /proc/$$/stat) = $$')), 1 << 8, ''],
];

const failures: [name: string, spec: ProcessSpec, code: string, step: string][] = [
  ['no such program', program(['no-such-program']), 'ENOENT', 'exec'],
  ['no such path', program(['/no/such/program']), 'ENOENT', 'exec'],
  ['a path through a file', program([`${plain}/x`]), 'ENOTDIR', 'exec'],
  ['a file that may not run', program([plain]), 'EACCES', 'exec'],
  ['only such a file in PATH', program(['tool'], { env: [`PATH=/nowhere:${path.dirname(tool)}`] }), 'EACCES', 'exec'],
  ['a folder', program([folder]), 'EACCES', 'exec'],
  ['an empty name', program(['']), 'ENOENT', 'exec'],
  ['no argv', program([]), 'EINVAL', 'exec'],
  ['a NUL in an argument', program(['echo', 'a\0b']), 'EINVAL', 'exec'],
  ['a NUL in the environment', program(['echo'], { env: ['A=\0'] }), 'EINVAL', 'exec'],
  ['an argument that is too long', program(['echo', 'x'.repeat(256 * 1024)]), 'E2BIG', 'exec'],
  ['no such working directory', program(['true'], { cwd: '/no/such/folder' }), 'ENOENT', 'cwd'],
  ['a file as working directory', program(['true'], { cwd: plain }), 'ENOTDIR', 'cwd'],
];

const noEvents = { data: () => assert.fail(), exit: () => assert.fail() };

for (const [implementation, spawn] of implementations()) {
  const each = (name: string, body: () => Promise<void>) => test(`${implementation}: ${name}`, body);

  for (const [name, spec, status, output] of outcomes) {
    each(name, async () => {
      const outcome = await run(spawn, spec);
      assert.deepEqual([outcome.status & ~0x80, outcome.output.join('')], [status, output]);
    });
  }

  for (const [name, spec, code, step] of failures) {
    each(`fails: ${name}`, async () => {
      assert.throws(
        () => spawn(spec, noEvents),
        (error) =>
          error instanceof SpawnError &&
          error.code === code &&
          error.step === step &&
          error.message.includes('cannot run'),
      );
    });
  }

  each('a new environment does not change ours', async () => {
    await run(spawn, program(['true'], { env: ['PATH=/bin', 'ONLY=child'] }));
    assert.equal(process.env.ONLY, undefined);
  });

  each('standard error is a stream of its own', async () => {
    const { output } = await run(spawn, program(sh('echo out; echo err >&2')));
    assert.deepEqual(output, ['', 'out\n', 'err\n']);
  });

  each('40 MiB of output, with pauses', async () => {
    const bytes = 40 * MiB;
    const hash = createHash('sha1');
    let received = 0;
    let pauses = 0;
    await new Promise<void>((resolve) => {
      const child = spawn(program(['head', '-c', `${bytes}`, '/dev/zero'], { stdio: ['null', 'output', 2] }), {
        data: (_stream, data) => {
          if (!data) return;
          received += data.length;
          hash.update(data);
          if (received / (4 * MiB) < pauses + 1) return;
          pauses++;
          child.pause(1);
          const before = received;
          setTimeout(() => {
            assert.equal(received, before, 'data came while paused');
            child.resume(1);
          }, 5);
        },
        exit: (status) => assert.equal(status, 0),
        close: resolve,
      });
    });
    assert.equal(received, bytes);
    assert.equal(hash.digest('hex'), createHash('sha1').update(Buffer.alloc(bytes)).digest('hex'));
    assert.ok(pauses >= 9);
  });

  each('20 MiB through standard input, with back-pressure', async () => {
    const input = randomBytes(20 * MiB);
    const output: Buffer[] = [];
    let drains = 0;
    await new Promise<void>((resolve) => {
      let offset = 0;
      const feed = () => {
        offset += child.write(0, input, offset);
        if (offset === input.length) child.end(0);
      };
      const child = spawn(program(['cat']), {
        data: (_stream, data) => data && output.push(data),
        drain: (stream) => {
          assert.equal(stream, 0);
          drains++;
          feed();
        },
        exit: (status) => assert.equal(status, 0),
        close: resolve,
      });
      feed();
      assert.ok(offset <= 2 * MiB, `${offset} bytes taken at once`);
    });
    assert.ok(Buffer.concat(output).equals(input));
    assert.ok(drains > 0);
  });

  each('a written buffer may be used again at once', async () => {
    const { output } = await run(spawn, program(['cat']), (child) => {
      const bytes = Buffer.from('one ');
      child.write(0, bytes);
      bytes.write('two ');
      child.write(0, bytes);
      assert.equal(child.write(0, Buffer.from('xthree'), 1), 5);
      assert.equal(child.write(0, Buffer.alloc(0)), 0);
      child.end(0);
      assert.equal(child.write(0, bytes), -1);
    });
    assert.equal(output[1], 'one two three');
  });

  each('extra descriptors: an input, an output, a channel', async () => {
    const spec = program(sh('read a <&3; echo "$a!" >&4; read b <&5; echo "$b?" >&5; exec 5>&-; cat <&0'), {
      stdio: ['input', 'output', 'output', 'input', 'output', 'channel'],
    });
    const { status, output } = await run(spawn, spec, (child) => {
      child.write(3, Buffer.from('three\n'));
      child.write(5, Buffer.from('five\n'));
      child.write(0, Buffer.from('zero'));
      child.end(0);
    });
    assert.deepEqual([status, output], [0, ['', 'zero', '', '', 'three!\n', 'five?\n']]);
  });

  each('a channel whose writing has ended is still read', async () => {
    const { output } = await run(spawn, program(sh('cat <&3 >&3'), { stdio: ['null', 1, 2, 'channel'] }), (child) => {
      child.write(3, Buffer.from('there and back'));
      child.end(3);
    });
    assert.equal(output[3], 'there and back');
  });

  each('an inherited descriptor', async () => {
    const name = path.join(folder, `inherited-${implementation}`);
    const fd = fs.openSync(name, 'w');
    await run(spawn, program(['echo', 'to a file'], { stdio: ['null', fd, 2] }));
    fs.closeSync(fd);
    assert.equal(fs.readFileSync(name, 'utf8'), 'to a file\n');
  });

  each('kill reaches the process, or its whole group; afterwards ESRCH', async () => {
    const alone = await run(spawn, program(['sleep', '100'], { stdio: [] }), (child) => child.kill(SIGTERM));
    assert.equal(alone.status, SIGTERM);
    let leader: { kill(signal: number): void } | undefined;
    // The output closes only when the grandchild, which holds it too, is gone.
    const group = await run(spawn, program(sh('sleep 100 & echo ready; wait'), { processGroup: true }), (child) => {
      leader = child;
      setTimeout(() => child.kill(SIGTERM), 100);
    });
    assert.equal(group.status, SIGTERM);
    assert.throws(() => leader!.kill(SIGTERM), { code: 'ESRCH' });
  });

  each('write answers -1 once nobody reads, and a waiting writer is told', async () => {
    const result = await new Promise<number>((resolve) => {
      const attempt = () => {
        const taken = child.write(0, Buffer.alloc(4 * MiB));
        if (taken < 0) resolve(taken);
      };
      const child = spawn(program(sh('sleep 0.1; exec <&-; echo closed; sleep 0.2')), {
        data: () => {},
        drain: attempt,
        exit: () => {},
      });
      attempt();
    });
    assert.equal(result, -1);
  });

  each('a waiting writer is told of the exit, though a grandchild holds the input', async () => {
    const answers: number[] = [];
    await new Promise<void>((resolve) => {
      const attempt = () => answers.push(child.write(0, Buffer.alloc(4 * MiB)));
      const child = spawn(program(sh('sleep 1 <&0 >/dev/null 2>&1 & sleep 0.1')), {
        data: () => {},
        drain: attempt,
        exit: () => {},
        close: resolve,
      });
      attempt();
    });
    assert.equal(answers.length, 2);
    assert.ok(answers[0]! > 0 && answers[1] === -1);
  });

  each('closing an output breaks the pipe of the child', async () => {
    const { status } = await run(spawn, program(['yes'], { stdio: ['null', 'output', 2] }), (child) => {
      setTimeout(() => child.close(1), 20);
    });
    // With the fallback's sockets a write may find the connection reset before the signal comes.
    assert.ok(status === SIGPIPE || (implementation === 'fallback' && status === 1 << 8), `${status}`);
  });

  each('output that is paused when the child ends is kept', async () => {
    const seen: string[] = [];
    await new Promise<void>((resolve) => {
      const child = spawn(program(['echo', 'late']), {
        data: (stream, bytes) => stream === 1 && seen.push(bytes ? bytes.toString() : 'end'),
        exit: () => {
          seen.push('exit');
          setTimeout(() => child.resume(1), 20);
        },
        close: () => {
          seen.push('close');
          resolve();
        },
      });
      child.pause(1);
    });
    assert.deepEqual(seen, ['exit', 'late\n', 'end', 'close']);
  });

  each('a stream closed after the exit lets the process close, though a grandchild holds the pipe', async () => {
    let closed = false;
    await new Promise<void>((resolve) => {
      const child = spawn(program(sh('sleep 5 & exit 3'), { stdio: ['null', 'output', 'null'], processGroup: true }), {
        data: () => assert.fail('nothing was written'),
        exit: (status) => {
          assert.equal(status, 3 << 8);
          setTimeout(() => {
            assert.equal(closed, false);
            child.close(1);
            assert.equal(closed, false, 'no event comes from within a call');
          }, 20);
        },
        close: () => {
          closed = true;
          process.kill(-child.pid, SIGKILL);
          resolve();
        },
      });
    });
  });

  each('a grandchild that holds our input does not keep the process', async () => {
    const { status } = await run(spawn, program(sh('sleep 1 <&0 >/dev/null 2>&1 & exit 0')), () => {});
    assert.equal(status, 0);
  });

  each('an end can be asked for, and streams closed, twice and after the process has closed', async () => {
    let child:
      | { end(stream: number): void; close(stream: number): void; write(s: number, b: Buffer): number }
      | undefined;
    await run(spawn, program(['true']), (started) => {
      child = started;
      started.end(0);
      started.end(0);
    });
    for (const stream of [0, 1, 7]) {
      child!.end(stream);
      child!.close(stream);
      assert.equal(child!.write(stream, Buffer.from('x')), -1);
    }
  });

  each('200 at once', async () => {
    const all = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        run(spawn, program(sh(`read x; echo $x; exit ${index}`)), (child) => {
          child.write(0, Buffer.from(`${index}\n`));
        }),
      ),
    );
    for (const [index, { status, output }] of all.entries()) {
      assert.deepEqual([status, output[1]], [index << 8, `${index}\n`]);
    }
  });

  each('500 processes and 100 failures leave no descriptor', async () => {
    await run(spawn, program(['true']));
    const before = openDescriptors();
    for (let round = 0; round < 20; round++) {
      await Promise.all(
        Array.from({ length: 25 }, () =>
          run(spawn, program(['true'], { stdio: ['input', 'output', 'output', 'channel'] })),
        ),
      );
    }
    for (let round = 0; round < 100; round++) assert.throws(() => spawn(program(['no-such-program']), noEvents));
    await until(() => openDescriptors() === before, `${openDescriptors()} descriptors are ${before}`);
  });

  each('children of both kinds live side by side', async () => {
    const ours = Promise.all(Array.from({ length: 20 }, (_, index) => run(spawn, program(sh(`exit ${index}`)))));
    const theirs = Promise.all(
      Array.from({ length: 20 }, (_, index) => new Promise((resolve) => exec(`exit ${index}`).on('exit', resolve))),
    );
    assert.deepEqual(
      (await ours).map(({ status }) => status >> 8),
      [...Array(20).keys()],
    );
    assert.deepEqual(await theirs, [...Array(20).keys()]);
  });
}

test('addon: descriptors that we hold without close-on-exec stay ours', async () => {
  const spawn = implementations()[0]![1];
  const { output } = await run(spawn, program(['ls', '/proc/self/fd']));
  assert.equal(output[1], '0\n1\n2\n3\n');
});

test('addon: crossed descriptors', async () => {
  const spawn = implementations()[0]![1];
  const names = ['crossed-a', 'crossed-b'].map((name) => path.join(fs.realpathSync(folder), name));
  const [a, b] = names.map((name) => fs.openSync(name, 'w')) as [number, number];
  const stdio: ProcessSpec['stdio'][number][] = Array.from({ length: Math.max(a, b) + 1 }, () => 'closed');
  stdio[1] = 'output';
  stdio[a] = b;
  stdio[b] = a;
  const { output } = await run(spawn, program(['readlink', `/proc/self/fd/${a}`, `/proc/self/fd/${b}`], { stdio }));
  assert.equal(output[1], `${names[1]}\n${names[0]}\n`);
  fs.closeSync(a);
  fs.closeSync(b);
});

test('addon: a descriptor that we do not have', () => {
  const spawn = implementations()[0]![1];
  for (const missing of [999, -1, -3, 0.5]) {
    const spec = program(['true'], { stdio: ['null', 1, missing] });
    assert.throws(() => spawn(spec, noEvents), { code: 'EBADF', step: 'stdio' });
  }
});

test('addon: the child gets pipes, blocking ones', async () => {
  const spawn = implementations()[0]![1];
  const { output } = await run(spawn, program(sh('readlink /proc/self/fd/0; grep flags /proc/self/fdinfo/0')));
  assert.match(output[1]!, /^pipe:\[\d+\]\nflags:\s*0100000\n$|^pipe:\[\d+\]\nflags:\s*00\n$/);
});

test('addon: stopped children are told once, with the signal, and end as ever', async () => {
  const spawn = implementations()[0]![1];
  let stopped: [number, number][] = [];
  const { status } = await run(spawn, program(sh('kill -STOP $$; exit 7')), (child) => {
    until(() => {
      stopped = takeStopped();
      return stopped.length > 0;
    }, 'the child has stopped').then(() => {
      assert.deepEqual(stopped, [[child.pid, SIGSTOP]]);
      assert.deepEqual(takeStopped(), []);
      child.kill(SIGCONT);
    });
  });
  assert.equal(status, 7 << 8);
  assert.deepEqual(takeStopped(), []);
});
