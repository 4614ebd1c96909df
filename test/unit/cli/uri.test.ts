// The URI of a Slurm job by what Slurm's programs say of its processes and its nodes.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { brokersWith } from '../../../cli/uri-process.ts';
import { readProgram } from '../../../cli/uri-program.ts';
import { resolveUri } from '../../../cli/uri-resolve.ts';
import { refused } from '../../errors.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-uri-test-'));
const children: ChildProcess[] = [];
const { PATH: searched, FLUX_URI: uriAround } = process.env;

/** A process with an environment of its own, which lives as long as this one. */
function start(env: Record<string, string>): number {
  const child = spawn('/bin/cat', { env, stdio: ['pipe', 'ignore', 'ignore'] });
  children.push(child);
  return child.pid!;
}

/** Programs of Slurm, each a shell script; those that are not named fail. */
function playSlurm(scripts: { scontrol?: string; squeue?: string; srun?: string }): void {
  for (const name of ['scontrol', 'squeue', 'srun'] as const)
    fs.writeFileSync(path.join(folder, name), `#!/bin/sh\n${scripts[name] ?? 'exit 1'}\n`, { mode: 0o755 });
}

before(() => {
  process.env.PATH = `${folder}:${searched}`;
});
after(() => {
  process.env.PATH = searched;
  if (uriAround === undefined) delete process.env.FLUX_URI;
  else process.env.FLUX_URI = uriAround;
  for (const child of children) child.kill();
  fs.rmSync(folder, { recursive: true });
});

test('the first task of a step that has a URI tells it', async () => {
  const [inside, wanted, other, none] = [
    start({ FLUX_URI: 'local:///inside/local-0' }),
    start({ FLUX_URI: 'local:///wanted/local-0' }),
    start({ FLUX_URI: 'local:///other/local-0' }),
    start({}),
  ];
  const found = `ssh://${os.hostname()}/wanted/local-0`;
  const head = 'PID JOBID STEPID LOCALID GLOBALID';
  const rows: [what: string, lines: string[], uri: string | undefined][] = [
    ['one', [head, `${wanted} 7 0 0 0`], found],
    ['the first of two', [head, `  ${wanted}   7  0    0     0`, `${other} 7 1 0 0`], found],
    ['ones without a URI, or that are gone', [`${none} 7 0 0 0`, '999999999 7 0 0 0', `${wanted} 7 1 0 0`], found],
    ['not what a task started', [`${inside} 7 0 - -`, `${wanted} 7 0 0 0`], found],
    ['no other task', [`${inside} 7 0 1 1`, `${wanted} 7 0 0 0`], found],
    ['not this process, nor what is none', [`${process.pid} 7 0 0 0`, '-1 7 0 0 0', 'x y z 0 0'], undefined],
    ['nothing', [head], undefined],
  ];
  for (const [what, lines, uri] of rows) {
    playSlurm({ scontrol: `cat <<'END'\n${lines.join('\n')}\nEND` });
    if (uri) assert.equal(await resolveUri('slurm:7'), uri, what);
    else await refused(resolveUri('slurm:7'), 'ENOENT', /^Slurm job 7: none of its tasks on this machine/);
  }
});

test('the first node of a job is asked where Slurm knows of no process here', async () => {
  process.env.FLUX_URI = 'local:///own/local-0';
  playSlurm({ squeue: 'echo "b[07-09],a"', srun: '[ -z "$FLUX_URI" ] && [ "$4" = b07 ] && echo ssh://kim@b07/run/x' });
  assert.equal(await resolveUri('slurm:7'), 'ssh://kim@b07/run/x');
  assert.equal(await resolveUri('slurm:7?local'), 'local:///run/x');
  playSlurm({ squeue: 'echo b07', srun: 'echo local:///run/x' });
  assert.equal(await resolveUri('slurm:7_1'), 'ssh://b07/run/x');
  playSlurm({ squeue: 'echo b07', srun: 'echo hello' });
  await refused(resolveUri('slurm:7'), 'EINVAL', /^Slurm job 7: 'hello' is neither/);
  playSlurm({ squeue: 'echo "b[07"' });
  await refused(resolveUri('slurm:7'), 'EINVAL', /^Slurm job 7: .*'b\[07'/);
  process.env.PATH = folder;
  for (const name of ['scontrol', 'squeue']) fs.rmSync(path.join(folder, name));
  await refused(resolveUri('slurm:7'), 'ENOENT', /^Slurm job 7: squeue: No such file/);
  process.env.PATH = `${folder}:${searched}`;
  for (const wrong of ['slurm:', 'slurm:-j', 'slurm:7 8', 'slurm:7/8'])
    await refused(resolveUri(wrong), 'EINVAL', /is not the id of a Slurm job/);
});

test('programs that fail say why', async () => {
  assert.equal(await readProgram('sh', ['-c', 'cat; echo $A'], { ...process.env, A: 'b' }), 'b\n');
  await refused(readProgram('sh', ['-c', 'echo no >&2; exit 2']), 'EIO', /^sh: no$/);
  await refused(readProgram('sh', ['-c', 'exit 2']), 'EIO', /^sh: it exited with 2$/);
  await refused(readProgram('sh', ['-c', 'kill -9 $$']), 'EIO', /^sh: it was ended by SIGKILL$/);
  await refused(readProgram('/no/program', []), 'ENOENT', /^\/no\/program: No such file/);
});

test('what is no broker is not taken for one', () => {
  const setting = `FLUX_URI_TEST=${process.pid}`;
  start({ FLUX_URI_TEST: String(process.pid) });
  assert.deepEqual(brokersWith(setting), []);
});
