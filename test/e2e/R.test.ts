// flux R against command lines recorded from Flux, whose output must be the same; and wrong input.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { golden } from '../golden.ts';
import { flux, type Outcome, run } from './instance.ts';

interface Case {
  readonly argv: readonly string[];
  readonly stdin?: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: number;
}

const { cases } = golden<{ readonly cases: readonly Case[] }>('vectors/R.json');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-R-test-'));
const config = path.join(folder, 'config.toml');

before(() => {
  fs.writeFileSync(
    config,
    `[[resource.config]]
     hosts = "test[1-10]"
     cores = "0-7"
     gpus = "0"
     [[resource.config]]
     hosts = "test[5-6]"
     properties = ["big"]
    `,
  );
});
after(() => fs.rmSync(folder, { recursive: true }));

const fluxR = (args: readonly string[], stdin = ''): Promise<Outcome> => run(flux, ['R', ...args], { stdin });

/** Runs work for all items, some at a time. */
async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: 4 }, worker));
}

test('recorded command lines', () =>
  inParallel(cases, async ({ argv, stdin, stdout, stderr, exit }) => {
    const args = argv.slice(2).map((word) => (word.endsWith('.toml') ? config : word));
    const outcome = await fluxR(args, stdin);
    const line = JSON.stringify({ args, stdin, outcome });
    assert.equal(outcome.stdout, stdout, line);
    assert.equal(outcome.exit, exit, line);
    assert.equal(outcome.stderr === '', stderr === '', line);
  }));

const one =
  '{"version":1,"execution":{"R_lite":[{"rank":"0","children":{"core":"0-1"}}],"starttime":0,"expiration":0}}';

test('this machine, and wrong input in one sentence', async () => {
  const local = await fluxR(['encode', '--local', '-r0-1', '-Ha,b']);
  assert.match(local.stdout, /^\{"version": 1, "execution": \{"R_lite": \[\{"rank": "0-1", "children": \{.*"core": "0/);
  const rows: [string[], string, RegExp][] = [
    [[], '', /^Usage: flux R COMMAND/],
    [['frob'], '', /there is no command 'frob'/],
    [['encode', '-rx'], '', /error parsing range 'x'/],
    [['encode', '-r0-1', '-Ha'], '', /'a' are 1 hosts for 2 ranks/],
    [['encode', '--local', '-c0'], '', /go neither with --local/],
    [['encode', '--xml=/nosuch'], '', /\/nosuch: No such file/],
    [['encode', '-p', 'x:9'], '', /rank 9 not found/],
    [['decode'], '', /standard input: /],
    [['decode'], '[]', /a resource set of standard input: Expected object, got array/],
    [['decode', '-n'], one, /the set has no hosts/],
    [['decode', '-p', 'a|b'], one, /invalid character '\|'/],
    [['append'], one + one, /overlap/],
    [['diff'], one, /fewer than 2 resource sets/],
    [['verify'], one + one + one, /more than 2 resource sets/],
    [['rerank', 'a['], one, /a\[/],
    [['parse-config', '/nosuch'], '', /\/nosuch/],
    [['parse-config'], '', /missing required argument/],
  ];
  await inParallel(rows, async ([args, stdin, stderr]) => {
    const outcome = await fluxR(args, stdin);
    assert.deepEqual([outcome.stdout, outcome.exit], ['', 1], args.join(' '));
    assert.match(outcome.stderr, stderr);
    assert.doesNotMatch(outcome.stderr, /^\s+at /m);
  });
});
