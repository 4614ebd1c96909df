/**
 * Tasks that write faster than is read or stored, and many jobs at once: others do not notice, memory stays bounded, and what
 * is lost is said.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { jobspec } from '../../bench/job-client.ts';
import { wrapUnsigned } from '../../core/formats/job-envelope.ts';
import { Handle } from '../../core/handle/handle.ts';
import { flux, type Instance, startInstance } from './instance.ts';
import { residentKilobytes, startProgram, temporaryFolder, until } from './support.ts';

/** What one flood writes. */
const FLOOD_BYTES = 100_000_000;
/** How much the engine may grow meanwhile, and how long another job may take in milliseconds. */
const GROWTH_MAX_KB = 400_000;
const LATENCY_MAX_MS = 10_000;

const folder = temporaryFolder();
let instance: Instance;
let handle: Handle;
before(async () => {
  instance = await startInstance(1);
  handle = await Handle.open(instance.uri);
});
after(async () => {
  await handle.close();
  const { exit, stderr } = await instance.stop();
  assert.equal(exit, 0, stderr);
});

async function shell(script: string): Promise<string> {
  const { stdout, stderr, exit } = await instance.shell(`set -e; ${script}`, { timeoutMs: 60_000 });
  assert.equal(exit, 0, `${script}: ${stdout}${stderr}`);
  return stdout.trim();
}

const flood = `sh -c 'yes "$(printf %099d 0)" | head -c ${FLOOD_BYTES}'`;

const J = wrapUnsigned(JSON.stringify(jobspec(['true'])), os.userInfo().uid);

/** Milliseconds that a short job takes from its submission to its end. */
async function otherJob(): Promise<number> {
  const before = performance.now();
  const { id } = await handle.rpc<{ id: number }>('job-ingest.submit', { J, urgency: 16, flags: 0 });
  for await (const { event } of handle.stream<{ event: string }>('job-info.eventlog-watch', {
    id,
    path: 'eventlog',
    flags: 0,
  }))
    if (event.includes('"name":"finish"')) assert.match(event, /"status":0\b/);
  return performance.now() - before;
}

/** Runs jobs beside what goes on, and watches how the engine grows, until it is over. */
async function checkOthers(isOver: () => boolean | Promise<boolean>): Promise<void> {
  const start = residentKilobytes(instance.pid);
  let isDone = false;
  while (!isDone) {
    isDone = await isOver();
    const milliseconds = await otherJob();
    assert.ok(milliseconds < LATENCY_MAX_MS, `another job took ${milliseconds} ms`);
    const grown = residentKilobytes(instance.pid) - start;
    assert.ok(grown < GROWTH_MAX_KB, `the engine has grown by ${grown} kB`);
  }
}

const isInactive = (id: string) => async () => (await shell(`flux jobs -no '{state}' ${id}`)) === 'INACTIVE';

test('a task that floods the KVS is cut at the limit, and says so', async () => {
  const id = await shell(`flux submit -o output.limit=10M ${flood}`);
  await checkOthers(isInactive(id));
  const { stdout, stderr } = await instance.shell(`flux job attach ${id} | wc -c`);
  assert.ok(Number(stdout) <= 10 * 1024 * 1024 && Number(stdout) > 9_000_000, stdout);
  assert.match(stderr, /stdout will be truncated, 10M limit exceeded/);
  assert.match(stderr, new RegExp(`of ${FLOOD_BYTES} bytes truncated`));
});

test('a task that floods a file has all of it written', async () => {
  const file = path.join(folder, 'output');
  const id = await shell(`flux submit --output=${file} ${flood}`);
  await checkOthers(isInactive(id));
  assert.equal(fs.statSync(file).size, FLOOD_BYTES);
  fs.rmSync(file);
});

test('a reader that stops keeps nobody else waiting, and has everything once it goes on', async () => {
  const env = { FLUX_URI: instance.uri };
  const bytes = 60_000_000;
  const reader = startProgram(flux, ['run', 'sh', '-c', `yes "$(printf %099d 0)" | head -c ${bytes}`], env);
  await until(() => reader.stdout() !== '', 'there is output');
  reader.child.stdout.pause();
  const [id] = (await shell('flux jobs -ano {id} --count=1')).split('\n');
  await checkOthers(isInactive(id!));
  assert.ok(reader.stdout().length < bytes);
  reader.child.stdout.resume();
  assert.equal(await reader.exited, 0);
  assert.equal(reader.stdout().length, bytes);
});

test('input beyond what the KVS takes ends the job, and says what to do', async () => {
  const { stderr, exit } = await instance.shell('set -o pipefail; head -c 100000000 /dev/zero | flux run wc -c');
  assert.notEqual(exit, 0);
  assert.match(stderr, /stdin exceeds 10M limit. Try file input/);
  const file = path.join(folder, 'input');
  fs.writeFileSync(file, Buffer.alloc(50_000_000));
  await checkOthers(() => true);
  assert.equal(await shell(`flux run --input=${file} wc -c`), '50000000');
  fs.rmSync(file);
});

test('ten thousand jobs are canceled at once', async () => {
  await shell('flux submit --quiet --cc=1-10000 --urgency=0 true');
  const before = performance.now();
  await shell('flux cancel --all; flux queue drain -t 20');
  assert.ok(performance.now() - before < 20_000);
  assert.equal(await shell("flux jobs -ano '{status}' -c 10000 | sort | uniq -c | tr -s ' '"), '10000 CANCELED');
});

/** Runs a script in a mount namespace with a tiny file system of its own at `$1`. */
function onTinyDisk(script: string) {
  const commands = `mount -t tmpfs -o mode=700,size=3m none "$1" && exec bash -c '${script}' bash "$@"`;
  const argv = ['-rm', 'bash', '-c', commands, 'bash', fs.mkdtempSync(path.join(folder, 'disk-')), flux];
  const env = { ...process.env, PATH: `${path.dirname(flux)}:${process.env.PATH}` };
  return spawnSync('unshare', argv, { encoding: 'utf8', timeout: 40_000, env });
}

const canMount = onTinyDisk('true').status === 0;

test('a full disk: who submits is told, nothing is lost, and all goes on when there is room', {
  skip: !canMount && 'this user may not mount a file system here',
}, async () => {
  fs.writeFileSync(
    path.join(folder, 'full.sh'),
    `held=$(flux submit --urgency=0 echo held)
      running=$(flux submit sh -c "until [ -e $1/go ]; do sleep 0.1; done")
      flux job wait-event $running start >/dev/null
      flux jobs -no '{name}' $held
      head -c 10M /dev/zero >$1/fill
      # A commit or two may still fit.
      for i in $(seq 20); do flux submit --setattr=user.pad=x$(head -c 60000 /dev/urandom | base64 -w0) true || break; done
      flux ping -c1 broker >/dev/null && echo alive
      rm $1/fill
      # What was tried in vain is tried again after some seconds at most.
      until flux submit --quiet true; do :; done 2>/dev/null
      touch $1/go
      flux job urgency $held 16
      flux job attach $held
      flux job attach $running && echo well`,
  );
  const start = `"$2" start -Sstatedir=$1`;
  const { stdout, stderr } = onTinyDisk(
    `${start} bash ${folder}/full.sh $1 >$1.out; cat $1.out | grep -v ƒ; ${start} flux jobs -ano "{result}" | sort -u`,
  );
  assert.equal(stdout, 'echo\nalive\nheld\nwell\nCOMPLETED\n', stderr);
  assert.match(stderr, /No space left on device|KVS commit failed/);
});
