// Checks the model of rings and doorbells with spin: `npm run model`. Needs spin and a C compiler.
//
// The model itself must hold; each of its BROKEN_ variants, which leaves out one step of the protocol, must not.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const model = path.resolve('test/model/ring.pml');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-model-'));

function run(command, ...args) {
  const result = spawnSync(command, args, { cwd: folder, encoding: 'utf8' });
  if (result.error?.code === 'ENOENT')
    throw new Error(`${command} is not installed; on Debian: apt-get install spin gcc libc6-dev`);
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${result.stdout}${result.stderr}`);
  return result.stdout;
}

/** Errors and states of one variant. */
function check(...defines) {
  run('spin', ...defines.map((name) => `-D${name}`), '-a', model);
  run('cc', '-O2', '-w', '-DSAFETY', '-o', 'pan', 'pan.c');
  const report = run('./pan', '-m1000000');
  return {
    errors: Number(/errors: (\d+)/.exec(report)[1]),
    states: Number(/(\d+) states, stored/.exec(report)[1]),
    complete: !/max search depth too small|Search not completed/.test(report),
  };
}

try {
  const sound = check();
  console.log(`ring.pml: ${sound.errors} errors in ${sound.states} states`);
  if (sound.errors || !sound.complete) process.exitCode = 1;
  const variants = new Set(fs.readFileSync(model, 'utf8').match(/BROKEN_[A-Z_]*[A-Z]/g));
  variants.delete('BROKEN_');
  for (const name of variants) {
    const { errors } = check(name);
    console.log(`  with ${name}: ${errors ? 'fails, as it must' : 'HOLDS, so the model does not show the step'}`);
    if (!errors) process.exitCode = 1;
  }
} catch (error) {
  console.error(`model: ${error.message}`);
  process.exitCode = 1;
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
