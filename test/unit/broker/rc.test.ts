// The programs of a broker's life: in which order they run, what they see, what becomes of their output and exit codes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exitCodeOf } from '../../../core/formats/wait-status.ts';
import { refused } from '../../errors.ts';
import { guest } from '../../sim/client.ts';
import type { Program, SimulatedProcess } from '../../sim/programs.ts';
import { Simulation, type SimulationOptions } from '../../sim/simulation.ts';

/** A shell that does what the command line says: `exit N`, `die N`, `print TEXT`, `wait`; notes what it was given. */
function shell(ran: string[]): Program {
  return (process) => {
    const [option, line] = process.args;
    assert.equal(option, '-c');
    ran.push(line!);
    const [word, ...rest] = line!.split(' ');
    if (word === 'exit') process.exit(Number(rest[0]));
    else if (word === 'die') process.die(Number(rest[0]));
    else if (word === 'print') {
      for (const [index, text] of rest.join(' ').split('|').entries()) process.print(text, 1 + (index % 2));
      process.exit(0);
    } else if (word !== 'wait') throw new Error(`${line}?`);
  };
}

async function start(options: SimulationOptions = {}): Promise<{ sim: Simulation; ran: string[] }> {
  const ran: string[] = [];
  const sim = new Simulation({ programs: { '/bin/bash': shell(ran), program: () => {} }, ...options });
  await sim.start();
  return { sim, ran };
}

/** What the log says of the programs of one point. */
const logOf = (sim: Simulation, pattern: RegExp) =>
  sim.node.stderr.map(({ text }) => text.replace(/^.*?(broker\.)/, '$1')).filter((text) => pattern.test(text));

const loud = { 'log-stderr-level': '7' };

test('a wait status in one number is the exit code, or 128 and the signal', () => {
  for (const [status, code] of [
    [0, 0],
    [256, 1],
    [0x7f00, 127],
    [9, 137],
    [15, 143],
    [0x8b, 139],
  ] as const)
    assert.equal(exitCodeOf(status), code);
});

test('commands pushed last run first, each after the one before, whatever their exit codes', async () => {
  const { sim, ran } = await start();
  const client = sim.connect();
  await client.rpc('runat.push', { name: 'cleanup', commands: ['exit 0', 'exit 3'] });
  await client.rpc('runat.push', { name: 'cleanup', commands: ['die 9', 'exit 4'] });
  await sim.stop();
  assert.deepEqual(ran, ['exit 4', 'die 9', 'exit 3', 'exit 0']);
  assert.equal(sim.node.exitCodes.get(0), 4);
});

test("the initial program's exit code comes before that of the cleanup", async () => {
  for (const [code, cleanup, expected] of [
    [0, 'exit 3', 3],
    [5, 'exit 3', 5],
    [5, 'exit 0', 5],
  ] as const) {
    const { sim } = await start({ command: ['program'] });
    await sim.connect().rpc('runat.push', { name: 'cleanup', commands: [cleanup] });
    sim.programs.find('program')!.exit(code);
    await sim.ended();
    assert.equal(sim.node.exitCodes.get(0), expected);
  }
});

test('points that nobody knows are kept and never run', async () => {
  const { sim, ran } = await start();
  assert.equal(await sim.connect().rpc('runat.push', { name: 'other', commands: ['exit 0'] }), undefined);
  await sim.stop();
  assert.deepEqual(ran, []);
});

for (const [payload, text] of [
  [undefined, /./],
  [{ name: 'cleanup', commands: [] }, /^commands array is empty$/],
  [{ name: 'cleanup', commands: 'true' }, /^commands array is empty$/],
  [{ name: 'cleanup', commands: [''] }, /^cannot push an empty command line$/],
  [{ name: 'cleanup', commands: ['exit 0', 5] }, /^cannot push an empty command line$/],
  [{ commands: ['exit 0'] }, /'name' is missing/],
] as const) {
  test(`runat.push ${JSON.stringify(payload)} is refused, and adds nothing`, async () => {
    const { sim, ran } = await start();
    await refused(sim.connect().rpc('runat.push', payload as never), 'EPROTO', text);
    await sim.stop();
    assert.deepEqual(ran, []);
  });
}

test('only the owner adds commands', async () => {
  const { sim } = await start();
  await refused(sim.connect(0, guest()).rpc('runat.push', { name: 'cleanup', commands: ['exit 0'] }), 'EPERM');
});

test('output is logged in lines, that of stderr as an error, and the end is told', async () => {
  const { sim } = await start({ attributes: loud });
  await sim.connect().rpc('runat.push', { name: 'cleanup', commands: ['print one\ntwo|oops\n|, too\nrest'] });
  await sim.stop();
  assert.deepEqual(logOf(sim, /cleanup\.0: \w+(, too)?$/), [
    'broker.info[0]: cleanup.0: one',
    'broker.err[0]: cleanup.0: oops',
    'broker.info[0]: cleanup.0: two, too',
    'broker.info[0]: cleanup.0: rest',
  ]);
  assert.equal(logOf(sim, /info\[0\]: cleanup\.0: print .*Exited \(rc=0\) 0\.\ds$/s).length, 1);
});

test('output that is no text is logged as far as it is some, and not in base64', async () => {
  const program: Program = (process) => {
    process.print(Buffer.from([0x61, 0xff, 0x62, 0x0a]));
    process.exit(0);
  };
  const sim = await new Simulation({ programs: { '/bin/bash': program }, attributes: loud }).start();
  await sim.connect().rpc('runat.push', { name: 'cleanup', commands: ['x'] });
  await sim.stop();
  assert.equal(logOf(sim, /info\[0\]: cleanup\.0: a\ufffdb$/).length, 1);
});

test('how a program ended is told, as an error when it failed', async () => {
  const { sim } = await start({ attributes: loud });
  await sim.connect().rpc('runat.push', { name: 'cleanup', commands: ['exit 3', 'die 6'] });
  await sim.stop();
  assert.deepEqual(logOf(sim, /cleanup\.\d: (exit|die)/), [
    'broker.err[0]: cleanup.0: die 6 Aborted (rc=134) 0.0s',
    'broker.err[0]: cleanup.1: exit 3 Exited (rc=3) 0.0s',
  ]);
});

test('a program that cannot be started has the exit code that shells give it', async () => {
  const sim = new Simulation({ command: ['nosuch-program'], attributes: loud });
  sim.startRanks([0]);
  await sim.ended();
  assert.equal(sim.node.exitCodes.get(0), 127);
  assert.equal(logOf(sim, /err\[0\]: rc2\.0: nosuch-program .*No such file.*\(rc=127\)/).length, 1);
});

test('programs see the environment of their rank, without what speaks of who launched the broker', async () => {
  let process!: SimulatedProcess;
  const environment = {
    HOME: '/root',
    FLUX_URI: 'local:///outer',
    FLUX_JOB_ID: '1',
    SLURM_JOB_ID: '2',
    PMI_RANK: '0',
    PMIX_RANK: '0',
    NOTIFY_SOCKET: '/x',
    PMIRACLE: 'kept',
  };
  const program = (own: SimulatedProcess) => {
    process = own;
  };
  const sim = new Simulation({ command: ['program', 'a b'], programs: { program }, environment });
  await sim.start();
  await sim.settle();
  assert.deepEqual(process.spec.argv, ['program', 'a b']);
  assert.deepEqual(process.spec.env.toSorted(), [
    'FLUX_URI=local:///sim/rundir/local-0',
    'HOME=/root',
    'PMIRACLE=kept',
  ]);
  assert.equal(process.spec.cwd, '/sim');
  assert.deepEqual(process.spec.stdio, [0, 1, 2]);
  assert.ok(sim.node.listening.has(0));
});

test('the initial program shows in the list of processes', async () => {
  const { sim } = await start({ command: ['program'] });
  await sim.settle();
  const { procs } = await sim.connect().rpc<{ procs: object[] }>('rexec.list');
  assert.deepEqual(
    procs.map((each) => ({ ...each, pid: 0 })),
    [{ pid: 0, cmd: 'program', label: 'rc2', state: 'R' }],
  );
});

test('a signal to the broker hangs up on the program that runs, and starts no other', async () => {
  const { sim, ran } = await start({ rc1: 'exit 0', attributes: { 'broker.cleanup-timeout': '1m' } });
  await sim.connect().rpc('runat.push', { name: 'cleanup', commands: ['exit 0', 'wait'] });
  sim.ranks[0]!.lifecycle.signal(15);
  await sim.settle();
  assert.equal(sim.stateOf(0), 'cleanup');
  sim.ranks[0]!.lifecycle.signal(15);
  await sim.ended();
  assert.deepEqual(ran, ['exit 0', 'wait']);
  assert.equal(sim.node.exitCodes.get(0), 129);
});

test('a signal that comes while a program is being started reaches it, too', async () => {
  const sim = new Simulation({ command: ['program'], programs: { program: () => {} } });
  sim.node.onState = (_, state) => {
    if (state === 'run') queueMicrotask(() => sim.ranks[0]!.lifecycle.signal(15));
  };
  sim.startRanks([0]);
  await sim.ended();
  assert.equal(sim.node.exitCodes.get(0), 129);
  assert.deepEqual(sim.programs.running, []);
});

test('a program that cannot be run for another reason than that it is not there has exit code 126', async () => {
  const { sim } = await start({ attributes: loud });
  await sim.connect().rpc('runat.push', { name: 'cleanup', commands: ['exit 0'] });
  await sim.connect().rpc('module.remove', { name: 'rexec' });
  await sim.stop();
  assert.equal(sim.node.exitCodes.get(0), 126);
  assert.equal(logOf(sim, /err\[0\]: cleanup\.0: exit 0 .*rexec.*\(rc=126\)/).length, 1);
});

test('a program is told the job that its instance is, if it is one', async () => {
  for (const [jobid, expected] of [
    [undefined, undefined],
    ['f123', 'f123'],
  ] as const) {
    let process!: SimulatedProcess;
    const program = (own: SimulatedProcess) => {
      process = own;
    };
    const attributes: Record<string, string> = jobid === undefined ? {} : { jobid };
    const environment = { HOME: '/root', FLUX_ENCLOSING_ID: 'outer' };
    const sim = await new Simulation({ command: ['program'], programs: { program }, attributes, environment }).start();
    await sim.settle();
    assert.equal(process.variable('FLUX_ENCLOSING_ID'), expected);
  }
});

test('a program that ends well although it was hung up on has failed', async () => {
  const program: Program = (process) => {
    process.onSignal = () => process.exit(0);
  };
  const sim = await new Simulation({ command: ['program'], programs: { program } }).start();
  await sim.settle();
  await sim.stop(2);
  assert.equal(sim.node.exitCodes.get(0), 1);
});

test('a cleanup that takes too long after a signal is ended', async () => {
  const { sim } = await start({ attributes: { 'broker.cleanup-timeout': '30s' } });
  await sim.connect().rpc('runat.push', { name: 'cleanup', commands: ['wait'] });
  const begin = sim.agenda.time;
  await sim.stop();
  const took = sim.agenda.time - begin;
  assert.ok(took >= 30 && took < 31, `${took} seconds`);
});

test('a cleanup may take its time when no signal came', async () => {
  const { sim } = await start({ attributes: { 'broker.cleanup-timeout': '30s' } });
  const client = sim.connect();
  await client.rpc('runat.push', { name: 'cleanup', commands: ['wait'] });
  await client.rpc('shutdown.start');
  await sim.advance(300);
  assert.equal(sim.stateOf(0), 'cleanup');
  sim.programs.find('/bin/bash')!.exit(0);
  await sim.ended();
});

test('rc1 and rc3 run on every rank, and their failures end the rank with their exit code', async () => {
  const { sim, ran } = await start({ size: 3, rc1: 'exit 0', rc3: 'exit 6' });
  await sim.stop();
  assert.deepEqual(ran, ['exit 0', 'exit 0', 'exit 0', 'exit 6', 'exit 6', 'exit 6']);
  assert.deepEqual([...sim.node.exitCodes.values()], [6, 6, 6]);
});

test('an rc1 that fails is forgiven in recovery mode', async () => {
  const { sim } = await start({ rc1: 'exit 3', attributes: { 'broker.recovery-mode': '1' } });
  assert.equal(sim.stateOf(0), 'run');
  await sim.stop();
  assert.equal(sim.node.exitCodes.get(0), 0);
});

test('an empty rc1 or rc3 is none', async () => {
  const { sim, ran } = await start({ rc1: '', rc3: '' });
  assert.ok(!sim.ranks[0]!.modules.names().includes('heartbeat'));
  await sim.stop();
  assert.deepEqual(ran, []);
  assert.equal(sim.node.exitCodes.get(0), 0);
});
