// Command lines of flux submit, run, bulksubmit, batch and alloc with --dry-run: the jobspecs, byte for byte, and exit
// codes that flux-core 0.88 has for them.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { mock, test } from 'node:test';
import { commands } from '../../../cli/commands.ts';
import { wrapUnsigned } from '../../../core/formats/job-envelope.ts';

interface Row {
  readonly args: readonly [name: string, ...words: string[]];
  readonly exit: number;
  readonly stdout: string;
}

const rows = fs
  .readFileSync('test/unit/cli/fixtures/submissions.jsonl', 'utf8')
  .trim()
  .split('\n')
  .map((line): Row => JSON.parse(line));

test('command lines and what flux-core makes of them', async () => {
  for (const { args, exit, stdout } of rows) {
    const [name, ...words] = args;
    let text = '';
    let errors = '';
    const mocks = [
      mock.method(process.stdout, 'write', (chunk: string) => {
        text += chunk;
        return true;
      }),
      mock.method(process.stderr, 'write', (chunk: string) => {
        errors += chunk;
        return true;
      }),
      mock.method(console, 'error', (line: string) => {
        errors += line;
      }),
    ];
    let code: number;
    try {
      code = await (await commands[name]!.load()).run(words);
    } finally {
      for (const each of mocks) each.mock.restore();
    }
    assert.deepEqual({ code, text }, { code: exit, text: stdout }, args.join(' '));
    assert.ok(!exit || errors, `${args.join(' ')} says nothing`);
    assert.doesNotMatch(errors, /TypeError|undefined|is not iterable/, args.join(' '));
  }
});

test('an envelope without signature', () => {
  const header = 'dmVyc2lvbgBpMQB1c2VyaWQAaTAAbWVjaGFuaXNtAHNub25lAA==';
  assert.equal(wrapUnsigned('{"resources": []}', 0), `${header}.eyJyZXNvdXJjZXMiOiBbXX0=.none`);
});
