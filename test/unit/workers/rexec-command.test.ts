// Command objects (RFC 42): what is read from them, what is refused, and what options mean; output cut into lines.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { JsonObject } from '../../../core/json.ts';
import {
  bufferBytes,
  type Command,
  isLineBuffered,
  parseCommand,
  programName,
} from '../../../workers/rexec/command.ts';
import { LineCutter } from '../../../workers/rexec/lines.ts';
import { throwsCode } from '../../errors.ts';

const URI = 'local:///rank/3';
const server = { HOME: '/root', FLUX_URI: 'local:///old', NOTIFY_SOCKET: '/n', INVOCATION_ID: '1' };

function parse(more: Record<string, unknown> = {}): Command {
  const json = { cmdline: ['prog'], env: { A: '1' }, opts: {}, channels: [], ...more };
  return parseCommand(json as JsonObject, server, URI);
}

test('what a command names is read', () => {
  const command = parse({ cmdline: ['a', '', 'b c'], cwd: '/tmp', channels: ['X', 'Y'], label: 'l', opts: { o: '' } });
  const { cmdline, cwd, channels, label, opts } = command;
  assert.deepEqual(
    { cmdline, cwd, channels, label, opts },
    {
      cmdline: ['a', '', 'b c'],
      cwd: '/tmp',
      channels: ['X', 'Y'],
      label: 'l',
      opts: { o: '' },
    },
  );
  assert.deepEqual([parse().cwd, parse().label], [undefined, undefined]);
});

test('an environment is the one that is given, or that of the rank when it is empty, with the URI of the rank', () => {
  assert.deepEqual(parse().env, { A: '1', FLUX_URI: URI });
  assert.deepEqual(parse({ env: {} }).env, { HOME: '/root', FLUX_URI: URI });
  assert.deepEqual(parse({ env: { FLUX_URI: 'x' } }).env, { FLUX_URI: URI });
});

test('what speaks of how the broker was started is not passed on', () => {
  const env = { FLUX_PROXY_REMOTE: 'x', NOTIFY_SOCKET: 'x', INVOCATION_ID: 'x', OTHER: 'x' };
  assert.deepEqual(parse({ env }).env, { OTHER: 'x', FLUX_URI: URI });
});

test('the command is shown as it came, with the environment that it gets', () => {
  const { json } = parse({ env: {}, more: 1 });
  assert.deepEqual(json, {
    cmdline: ['prog'],
    env: { HOME: '/root', FLUX_URI: URI },
    opts: {},
    channels: [],
    more: 1,
    msgchan: [],
  });
  assert.deepEqual(parse({ msgchan: [{ name: 'x' }] }).json.msgchan, [{ name: 'x' }]);
});

for (const [more, text] of [
  [{ cmdline: [] }, /^command string is empty$/],
  [{ cmdline: 'prog' }, /'cmdline' is not an array/],
  [{ cmdline: ['a', 5] }, /^cmdline is not an array of strings$/],
  [{ cmdline: undefined }, /'cmdline' is missing/],
  [{ env: undefined }, /'env' is missing/],
  [{ env: { A: 5 } }, /^env is not an object of strings$/],
  [{ env: ['A=5'] }, /'env' is not an object/],
  [{ opts: { o: true } }, /^opts is not an object of strings$/],
  [{ opts: undefined }, /'opts' is missing/],
  [{ channels: [5] }, /^channels is not an array of strings$/],
  [{ channels: undefined }, /'channels' is missing/],
  [{ cwd: 5 }, /'cwd' is not a string/],
  [{ label: '' }, /^the label is empty$/],
  [{ label: 5 }, /'label' is not a string/],
] as [Record<string, unknown>, RegExp][]) {
  test(`refused: ${JSON.stringify(more)}`, () => throwsCode(() => parse(more), 'EPROTO', text));
}

for (const [text, bytes] of [
  [undefined, 4 * 1024 * 1024],
  ['1', 1],
  ['1000', 1000],
  ['4k', 4096],
  ['4K', 4096],
  ['2m', 2 * 1024 * 1024],
  ['1G', 1024 ** 3],
] as const) {
  test(`a buffer of ${text} has ${bytes} bytes`, () =>
    assert.equal(bufferBytes(parse({ opts: text === undefined ? {} : { stdin_BUFSIZE: text } }), 'stdin'), bytes));
}

for (const text of ['', '0', '-1', '1.5k', '4T', 'k', ' 4', '4kb', '2G', '99999999999'])
  test(`a buffer of '${text}' is refused`, () =>
    throwsCode(
      () => bufferBytes(parse({ opts: { stdin_BUFSIZE: text } }), 'stdin'),
      'EINVAL',
      /^stdin_BUFSIZE is no size/,
    ));

test('options are those of one stream', () => {
  const command = parse({
    opts: { stdin_BUFSIZE: '5', stdout_LINE_BUFFER: 'false', stderr_LINE_BUFFER: 'TRUE', X_BUFSIZE: '7' },
  });
  assert.deepEqual([bufferBytes(command, 'stdin'), bufferBytes(command, 'X')], [5, 7]);
  assert.deepEqual(
    ['stdout', 'stderr', 'X'].map((stream) => isLineBuffered(command, stream)),
    [false, true, true],
  );
  throwsCode(
    () => isLineBuffered(parse({ opts: { stdout_LINE_BUFFER: '1' } }), 'stdout'),
    'EINVAL',
    /neither true nor/,
  );
});

test('a flux command is shown with its subcommand', () => {
  for (const [cmdline, name] of [
    [['prog', 'x'], 'prog'],
    [['/bin/prog'], '/bin/prog'],
    [['flux', 'ping', '0'], 'flux ping'],
    [['flux'], 'flux'],
  ] as const)
    assert.equal(programName(parse({ cmdline })), name);
});

// ---- lines

const texts = (pieces: Buffer[]) => pieces.map((piece) => piece.toString());

test('lines come out whole, each for itself, and the rest at the end', () => {
  const cutter = new LineCutter();
  assert.deepEqual(texts(cutter.push(Buffer.from('a\nb'))), ['a\n']);
  assert.deepEqual(texts(cutter.push(Buffer.from('c'))), []);
  assert.deepEqual(texts(cutter.push(Buffer.from('d\n\ne\nf'))), ['bcd\n', '\n', 'e\n']);
  assert.deepEqual(texts(cutter.end()), ['f']);
  assert.deepEqual(texts(cutter.end()), []);
});

test('many lines that come at once go out in one piece', () => {
  const lines = 'x\n'.repeat(100);
  assert.deepEqual(texts(new LineCutter().push(Buffer.from(`${lines}rest`))), [lines]);
});

test('what has no end of line is not kept for ever', () => {
  const cutter = new LineCutter();
  const chunk = Buffer.alloc(10_000, 'x');
  let kept = 0;
  let pieces: Buffer[] = [];
  while (pieces.length === 0 && kept < 1_000_000) {
    pieces = cutter.push(chunk);
    kept += chunk.length;
  }
  assert.ok(kept < 100_000, `${kept} bytes are kept`);
  assert.equal(Buffer.concat(pieces).length, kept);
  assert.deepEqual(cutter.push(chunk), []);
  assert.equal(cutter.end().length, 1);
  for (let i = 0; i < 20; i++) {
    assert.deepEqual(cutter.push(chunk), [], 'what went out as a line still counts');
    assert.equal(cutter.push(Buffer.from('\n')).length, 1);
  }
});

test('however output comes in pieces, no byte is lost, and only the last piece has no end of line', () => {
  const text = fc.array(fc.constantFrom('a', 'bb', '\n', 'ä'), { maxLength: 30 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.array(text, { maxLength: 12 }), (chunks) => {
      const cutter = new LineCutter();
      const pieces = chunks.flatMap((chunk) => cutter.push(Buffer.from(chunk)));
      for (const piece of texts(pieces)) assert.ok(piece.endsWith('\n'), JSON.stringify(piece));
      pieces.push(...cutter.end());
      assert.equal(Buffer.concat(pieces).toString(), chunks.join(''));
    }),
  );
});
