// Runs dist/flux.cjs. What V8 has compiled of it is kept beside it, for each version of Node, where that folder may be
// written: it saves a command eight milliseconds of eighty.

'use strict';

const fs = require('node:fs');
const { createRequire, wrap } = require('node:module');
const path = require('node:path');
const { Script } = require('node:vm');

const folder = path.join(__dirname, '..', 'dist');
const file = path.join(folder, 'flux.cjs');
const cache = `${file}.${process.version}-${process.arch}.cache`;

/** V8 tells another source by its length alone, so a cache that is older than the bundle is none. */
function readCache() {
  try {
    return fs.statSync(cache).mtimeMs >= fs.statSync(file).mtimeMs ? fs.readFileSync(cache) : undefined;
  } catch {
    return undefined;
  }
}

const cachedData = readCache();
const script = new Script(wrap(fs.readFileSync(file, 'utf8')), { filename: file, cachedData });

/** Whole under another name first: other commands may read it meanwhile. */
function writeCache() {
  const fresh = `${cache}.${process.pid}`;
  try {
    fs.accessSync(folder, fs.constants.W_OK);
    fs.writeFileSync(fresh, script.createCachedData());
    fs.renameSync(fresh, cache);
  } catch {
    // It is a matter of speed only.
    fs.rmSync(fresh, { force: true });
  }
}

// An instance runs for long, much of it code that other commands do not need.
const isShort = !['start', 'broker'].includes(process.argv[2]);
if (isShort && (cachedData === undefined || script.cachedDataRejected)) process.on('exit', writeCache);

const module_ = { exports: {} };
script.runInThisContext()(module_.exports, createRequire(file), module_, file, folder);
