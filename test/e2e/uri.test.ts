// Instances that run as jobs of Slurm and LSF. What plays their programs looks at how it is called; flux is real.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { flux, type Instance, run, startInstance } from './instance.ts';
import { checkRows } from './rows.ts';
import { temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const calls = path.join(folder, 'calls');
/** Ids of jobs that nobody else has. */
const job = String(1_000_000 + process.pid);

/** A program that notes how it was called. */
function program(name: string, text: string): string {
  const file = path.join(folder, name);
  fs.writeFileSync(file, `#!/bin/sh\necho "${name} $*" >>${calls}\n${text}\n`, { mode: 0o755 });
  return file;
}

/** How the programs were called since the last time. */
function takeCalls(): string[] {
  const lines = fs.existsSync(calls) ? fs.readFileSync(calls, 'utf8').split('\n').filter(Boolean) : [];
  fs.rmSync(calls, { force: true });
  return lines;
}

let instance: Instance;
before(async () => {
  instance = await startInstance(2, [], { env: { ...process.env, LSB_JOBID: job } });
});
after(() => instance.stop());

const PATH = `${folder}:${path.dirname(flux)}:${process.env.PATH}`;
const remote = () => instance.uri.replace('local://', `ssh://${os.hostname()}`);

test('jobs of Slurm', async () => {
  program(
    'scontrol',
    `[ "$WHERE" = node ] || { echo "slurm_pid2jobid error" >&2; exit 1; }
echo 'PID      JOBID    STEPID   LOCALID GLOBALID'
echo '1         ${job}     batch           -       -'
echo '${process.pid} ${job}     0           1       1'
echo "$PPID ${job}     0           0       0"
echo '${instance.pid} ${job}     0           0       0'`,
  );
  program('squeue', '[ "$SQUEUE" = fails ] && { echo "Invalid job id" >&2; exit 1; }; echo "$SQUEUE"');
  program(
    'srun',
    `[ "$SRUN" = fails ] && exit 3
[ -z "$FLUX_URI$FLUX_URI_RESOLVE_LOCAL" ] || { echo 'the environment is not clean' >&2; exit 1; }
shift 6; WHERE=node exec "$@"`,
  );
  // That of the one who asks is not the job's.
  const there = { PATH, WHERE: 'node', FLUX_URI: 'local:///own/local-0' };
  const here = { PATH, SQUEUE: 'foo[100-101]' };
  const args = ['uri', `slurm:${job}`];
  await checkRows(instance, [
    { args, options: { env: there }, stdout: `${remote()}\n` },
    { args: ['uri', '--local', `slurm:${job}`], options: { env: there }, stdout: `${instance.uri}\n` },
    { args: ['uri', `slurm:${job}?local`], options: { env: there }, stdout: `${instance.uri}\n` },
  ]);
  assert.deepEqual(takeCalls(), new Array(3).fill(`scontrol listpids ${job}`));
  await checkRows(instance, [
    { args, options: { env: here }, stdout: `${remote()}\n` },
    { args, options: { env: { ...here, FLUX_URI_RESOLVE_LOCAL: 't' } }, stdout: `${instance.uri}\n` },
  ]);
  const expected = [
    `scontrol listpids ${job}`,
    `squeue -h -o %N -j ${job}`,
    `srun --overlap --jobid=${job} -w foo100 -n1 -N1 flux uri slurm:${job}`,
    `scontrol listpids ${job}`,
  ];
  assert.deepEqual(takeCalls(), [...expected, ...expected]);
  const fails = (env: Record<string, string>, stderr: RegExp) => ({ args, options: { env }, stderr, exit: 1 });
  await checkRows(instance, [
    fails({ ...here, SRUN: 'fails' }, new RegExp(`^flux-uri: Slurm job ${job}: srun: it exited with 3\n$`)),
    fails({ ...here, SQUEUE: 'fails' }, new RegExp(`Slurm job ${job}: squeue: Invalid job id\n$`)),
    fails({ ...here, SQUEUE: '' }, new RegExp(`Slurm job ${job}: it has no nodes\n$`)),
    { args: ['uri', 'slurm:--help'], options: { env: here }, stderr: /'--help' is not the id of a Slurm job/, exit: 1 },
  ]);
});

test('what is no target is told where there is no instance, too', async () => {
  const { exit, stderr } = await run(flux, ['uri', '/nosuch'], { env: { FLUX_URI: undefined } });
  assert.deepEqual([exit, stderr], [1, 'flux-uri: nosuch is not a job id\n']);
});

test('jobs of LSF', async () => {
  const query = program(
    'csm_allocation_query',
    `[ "$CSM" = fails ] && exit 4
echo '---'
echo 'num_nodes: 2'
echo 'compute_nodes: '
[ "$CSM" = empty ] || printf ' - lassen10\\n - lassen9\\n'
echo '...'`,
  );
  const ssh = program('ssh', 'shift; unset FLUX_URI LSB_JOBID; eval "exec $*"');
  const env = { PATH, CSM_ALLOCATION_QUERY: query, FLUX_SSH: ssh };
  takeCalls();
  await checkRows(instance, [
    { args: ['uri', `lsf:${job}`], options: { env }, stdout: `${remote()}\n` },
    { args: ['uri', '--local', `lsf:${job}`], options: { env }, stdout: `${instance.uri}\n` },
  ]);
  const command = `ssh lassen9 ${flux} uri --remote 'lsf:${job}?is_compute'`;
  assert.deepEqual(takeCalls().slice(0, 2), [`csm_allocation_query -j ${job}`, command]);
  const denied = program('denied', 'echo "Permission denied" >&2; exit 255');
  const other = (text: string) => `${text}${job}0`;
  await checkRows(instance, [
    { args: ['uri', `lsf:${job}?is_compute`], stdout: `${remote()}\n` },
    { args: ['uri', other('lsf:')], options: { env }, stderr: /LSF job \d+0: .*no broker on this machine/, exit: 1 },
    {
      args: ['uri', `lsf:${job}`],
      options: { env: { ...env, FLUX_SSH: denied } },
      stderr: new RegExp(`^flux-uri: LSF job ${job}: ${denied}: Permission denied\n$`),
      exit: 1,
    },
    {
      args: ['uri', `lsf:${job}`],
      options: { env: { ...env, CSM: 'fails' } },
      stderr: /csm_allocation_query: it exited with 4\n$/,
      exit: 1,
    },
    {
      args: ['uri', `lsf:${job}`],
      options: { env: { ...env, CSM: 'empty' } },
      stderr: new RegExp(`LSF job ${job}: it has no nodes\n$`),
      exit: 1,
    },
    {
      args: ['uri', `lsf:${job}`],
      options: { env: { ...env, CSM_ALLOCATION_QUERY: '/no/query' } },
      stderr: new RegExp(`LSF job ${job}: /no/query: No such file or directory\n$`),
      exit: 1,
    },
    { args: ['uri', 'lsf:x'], stderr: /'x' is not the id of an LSF job/, exit: 1 },
  ]);
});
