/**
 * The initial program has the standard streams of flux start, as any program that a shell runs: all that is written to them
 * arrives, in files and pipes, however slowly it is read.
 */

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { flux, run } from './instance.ts';
import { temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const large = path.join(folder, 'large');
const LARGE_BYTES = 20_000_000;
fs.writeFileSync(large, Buffer.alloc(LARGE_BYTES, 'line\n'));

/** What `flags` of /proc/PID/fdinfo has for O_NONBLOCK. */
const NONBLOCK = 0o4000;

const env = { PATH: `${path.dirname(flux)}:${process.env.PATH}`, LARGE: large };
const bash = (script: string) => run('bash', ['-c', `set -o pipefail; ${script}`], { env });

const rows: [script: string, stdout: string][] = [
  ['echo hi | flux start cat', 'hi\n'],
  ['printf "no newline" | flux start -s3 cat', 'no newline'],
  ['flux start cat < /dev/null', ''],
  ['flux start wc -c <&-', '0\n'],
  ['flux start cat < $LARGE | wc -c', `${LARGE_BYTES}\n`],
  ['flux start cat < $LARGE | cmp - $LARGE', ''],
  ['yes | head -c 50000000 | flux start wc -c', '50000000\n'],
  ['flux start wc -c < $LARGE', `${LARGE_BYTES}\n`],
  // One of two programs reads a part; the rest is there for the next.
  ['cat $LARGE | flux start bash -c "head -c 5 && sleep 0.2 && wc -c"', `line\n${LARGE_BYTES - 5}\n`],
  ['{ echo one; sleep 0.2; echo two; } | flux start cat', 'one\ntwo\n'],
  [`flux start cat $LARGE | { sleep 0.3; wc -c; }`, `${LARGE_BYTES}\n`],
  [`flux start bash -c 'cat $LARGE >&2' 2>&1 >/dev/null | { sleep 0.3; wc -c; }`, `${LARGE_BYTES}\n`],
  // What flux start itself writes to stderr must not change how the program writes.
  [
    `flux start bash -c 'flux logger -s err told; cat $LARGE' 2>&1 | { sleep 0.5; grep -c line; }`,
    `${LARGE_BYTES / 5}\n`,
  ],
  [`flux start bash -c 'yes >$0; exit 3' /dev/full 2>/dev/null || echo $?`, '3\n'],
  [`flux start yes | head -n 2`, 'y\ny\n'],
];

describe('standard streams', { concurrency: 2 }, () => {
  for (const [script, stdout] of rows)
    test(script, async () => {
      const outcome = await bash(script);
      assert.equal(outcome.stdout, stdout, outcome.stderr);
      assert.doesNotMatch(outcome.stderr, /temporarily unavailable|EAGAIN/);
    });

  for (const [what, redirect] of [
    ['pipes', 'cat |', '2>&1 | cat'],
    ['files', '', `< ${large} > ${folder}/out 2>&1; cat ${folder}/out`],
  ].map(([what, before, after]) => [what!, (command: string) => `${before} ${command} ${after}`] as const))
    test(`${what} block, before and after flux start writes to them`, async () => {
      const flags = 'for fd in 0 1 2; do grep flags /proc/$$/fdinfo/$fd; done;';
      const program = `${flags} flux logger -s err told; until flux dmesg | grep -q told; do :; done; ${flags}`;
      const { stdout, stderr } = await bash(redirect(`flux start bash -c '${program}'`));
      const found = [...stdout.matchAll(/flags:\s+(\d+)/g)].map(([, octal]) => Number.parseInt(octal!, 8));
      assert.equal(found.length, 6, stderr + stdout);
      assert.match(stdout, /logger\.err\[0\]: told/);
      assert.ok(
        found.every((each) => (each & NONBLOCK) === 0),
        stdout,
      );
    });
});
