// The command keeps what was compiled of it beside its bundle, and does without where that is missing, damaged or of
// another Node.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { run } from './instance.ts';
import { temporaryFolder } from './support.ts';

test('a command finds the compiled code of the one before, and makes it anew when it is of no use', async () => {
  const folder = temporaryFolder();
  for (const part of ['bin', 'dist']) fs.cpSync(part, path.join(folder, part), { recursive: true });
  const dist = path.join(folder, 'dist');
  const caches = () => fs.readdirSync(dist).filter((name) => name.includes('cache'));
  for (const name of caches()) fs.rmSync(path.join(dist, name));
  const version = async () => {
    const { stdout, stderr, exit } = await run(path.join(folder, 'bin', 'flux'), ['version']);
    assert.match(stdout, /^commands: +0\.88\.0\n/);
    assert.deepEqual([stderr, exit], ['', 0]);
  };

  await version();
  const name = `flux.cjs.${process.version}-${process.arch}.cache`;
  assert.deepEqual(caches(), [name]);
  const made = fs.statSync(path.join(dist, name));
  await version();
  assert.equal(fs.statSync(path.join(dist, name)).ino, made.ino, 'it was made again');

  fs.writeFileSync(path.join(dist, name), 'damaged');
  await version();
  assert.deepEqual(caches(), [name]);
  assert.ok(fs.statSync(path.join(dist, name)).size > 10_000);

  // As a bundle that was put there later, and that V8 would not tell from the one before if it is as long.
  const bundle = path.join(dist, 'flux.cjs');
  fs.writeFileSync(bundle, fs.readFileSync(bundle, 'utf8').replace(/0\.88\.0/g, '9.99.9'));
  assert.match((await run(path.join(folder, 'bin', 'flux'), ['version'])).stdout, /^commands: +9\.99\.9\n/);
  fs.writeFileSync(bundle, fs.readFileSync(bundle, 'utf8').replace(/9\.99\.9/g, '0.88.0'));

  // Nothing can be renamed to a folder.
  fs.rmSync(path.join(dist, name));
  fs.mkdirSync(path.join(dist, name));
  await version();
  assert.deepEqual(caches(), [name]);
});
