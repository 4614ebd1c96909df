// The whole benchmark suite, with as little of each benchmark as shows that it works: its figures are those that
// bench/README.md names.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { run } from './instance.ts';
import { temporaryFolder } from './support.ts';

interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly better: string;
  readonly median: number;
  readonly samples: number;
}

interface Report {
  readonly scale: string;
  readonly machine: { readonly node: string };
  readonly figures: readonly Figure[];
}

/** Without a launcher what it starts is left out, with a sentence. */
const lacksHydra = spawnSync('mpiexec.hydra', ['-version']).error !== undefined;

/** The names in the first column of the README's table; `*` stands for anything, and numbers depend on the scale. */
function promisedNames(): RegExp[] {
  const cells = fs.readFileSync('bench/README.md', 'utf8').matchAll(/^\| (`.*?) +\|/gm);
  const spans = [...cells].flatMap(([, cell]) => [...cell!.matchAll(/`([^`]+)`/g)].map(([, span]) => span!));
  const isMeasured = (span: string) => !lacksHydra || !span.startsWith('hydra-');
  return spans.filter(isMeasured).map((span) => {
    const pattern = span
      .replaceAll('.', '\\.')
      .replaceAll('*', '.+')
      .replace(/\d+|\b[NP]\b/g, '\\d+');
    return new RegExp(`^${span.startsWith('.') ? '.+' : ''}${pattern}$`);
  });
}

test('every benchmark runs, and its figures have the names that are promised', async () => {
  const file = path.join(temporaryFolder(), 'figures.json');
  const argv = ['scripts/bench.mjs', '--tiny', '--json', file];
  const { stdout, stderr, exit } = await run(process.execPath, argv, { timeoutMs: 90_000 });
  assert.equal(exit, 0, stderr);
  assert.match(stderr, lacksHydra ? /^bench: .* mpiexec\.hydra is not installed .*\n$/ : /^$/);
  const { scale, machine, figures } = JSON.parse(fs.readFileSync(file, 'utf8')) as Report;
  assert.deepEqual([scale, machine.node], ['tiny', process.version]);
  const names = figures.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length, 'two figures have the same name');
  const promised = promisedNames();
  assert.ok(promised.length > 20, `the README names ${promised.length} figures`);
  for (const pattern of promised)
    assert.ok(
      names.some((name) => pattern.test(name)),
      `no figure is ${pattern}`,
    );
  for (const { name, unit, better, median, samples } of figures) {
    assert.ok(
      promised.some((pattern) => pattern.test(name)),
      `the README does not name ${name}`,
    );
    assert.ok(median > 0 && Number.isFinite(median), `${name}: ${median} ${unit}`);
    assert.match(better, /^(less|more)$/);
    assert.ok(samples > 0, name);
  }
  const shown = stdout.trimEnd().split('\n');
  assert.deepEqual(
    shown.slice(1).map((line) => line.split(' ')[0]),
    names,
  );
});

test('a word picks benchmarks, and a peer is measured beside them', async () => {
  const argv = ['scripts/bench.mjs', '--tiny', '--only', 'connect', '--peer', 'bin/flux'];
  const { stdout, exit } = await run(process.execPath, argv, { timeoutMs: 20_000 });
  assert.equal(exit, 0);
  assert.match(
    stdout,
    /^benchmark +median +p99 +unit +peer +times better\nconnect\.rate +\S+ +clients\/s +\S+ +\S+\n$/,
  );
});
