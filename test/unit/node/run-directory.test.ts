// The folders of an instance: which are made, which are taken as they are, and which are removed again.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { checkSocketPath } from '../../../core/node/listen.ts';
import { openFolder, removeFolder } from '../../../core/node/run-directory.ts';
import { throwsCode } from '../../errors.ts';

const parent = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-run-directory-'));
after(() => fs.rmSync(parent, { recursive: true }));

let count = 0;
const modeOf = (folder: string) => fs.statSync(folder).mode & 0o7777;

/** A folder that is there before. */
function existing(name: string, mode = 0o700): string {
  const made = path.join(parent, name);
  fs.mkdirSync(made);
  fs.chmodSync(made, mode);
  return made;
}

for (const [what, make, isNew] of [
  ['nobody names one', () => undefined, true],
  ['the one that is named is not there', () => path.join(parent, `fresh-${++count}`), true],
  ['the one that is named is there', () => existing(`there-${++count}`), false],
  ['the one that is named has the sticky bit', () => existing(`sticky-${++count}`, 0o1777), true],
] as const) {
  test(`${what}: it is made here or taken, and goes at the end if it was made or that is wished`, () => {
    for (const [wish, cleanup] of [
      [undefined, isNew],
      ['0', false],
      ['1', true],
    ] as const) {
      const name = make();
      const before = name !== undefined && fs.existsSync(name);
      const folder = openFolder('rundir', name, parent, wish);
      assert.deepEqual([folder.isNew, folder.cleanup], [isNew, cleanup], `rundir-cleanup ${wish}`);
      assert.equal(modeOf(folder.path), 0o700);
      if (name === undefined) assert.equal(path.dirname(folder.path), parent);
      else if (before && isNew) assert.equal(path.dirname(folder.path), name);
      else assert.equal(folder.path, name);
    }
  });
}

test('each instance gets a folder of its own', () => {
  const [one, other] = [openFolder('rundir', undefined, parent, '1'), openFolder('rundir', undefined, parent, '1')];
  assert.notEqual(one.path, other.path);
});

test('a folder that is named by a relative path, or made in one, has its whole path', () => {
  const made = openFolder('rundir', undefined, path.relative(process.cwd(), parent), undefined);
  assert.equal(path.dirname(made.path), parent);
  const { path: found } = openFolder('rundir', path.relative(process.cwd(), existing('relative')), parent, undefined);
  assert.equal(found, path.join(parent, 'relative'));
});

for (const [what, name, code, text] of [
  [
    'is a file',
    () => {
      const file = path.join(parent, 'file');
      fs.writeFileSync(file, '');
      return file;
    },
    'ENOTDIR',
    /is not a directory/,
  ],
  ['has no folder above it', () => path.join(parent, 'no', 'such'), 'ENOENT', /no such file/i],
  ['cannot be read', () => existing('write-only', 0o300), 'EPERM', /read, write and search permission/],
  ['cannot be written', () => existing('read-only', 0o500), 'EPERM', /read, write and search permission/],
] as const) {
  test(`refused: a folder that ${what}`, () =>
    throwsCode(
      () => openFolder('statedir', name(), parent, undefined),
      code,
      new RegExp(`^statedir: .*${text.source}`, 'i'),
    ));
}

test("refused: somebody else's folder", { skip: process.getuid?.() !== 0 && 'only root gives folders away' }, () => {
  const folder = existing('given-away');
  fs.chownSync(folder, 12345, 12345);
  throwsCode(() => openFolder('rundir', folder, parent, undefined), 'EPERM', /is not owned by the instance owner/);
});

test('refused: a place for new folders that is not there', () =>
  throwsCode(() => openFolder('rundir', undefined, path.join(parent, 'nosuch'), undefined), 'ENOENT', /^rundir: /));

test("a socket's path has at most 107 bytes", () => {
  checkSocketPath(`/${'a'.repeat(106)}`);
  throwsCode(() => checkSocketPath(`/${'a'.repeat(107)}`), 'ENAMETOOLONG', /108 bytes long/);
  throwsCode(() => checkSocketPath(`/${'ä'.repeat(54)}`), 'ENAMETOOLONG', /109 bytes long/);
});

test('a folder is removed with all that is in it, and one that is gone is no error', () => {
  const folder = openFolder('rundir', undefined, parent, undefined);
  fs.mkdirSync(path.join(folder.path, 'sub'));
  fs.writeFileSync(path.join(folder.path, 'sub', 'file'), '');
  removeFolder(folder);
  assert.ok(!fs.existsSync(folder.path));
  removeFolder(folder);
});
