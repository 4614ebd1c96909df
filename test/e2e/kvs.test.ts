// flux kvs on a real instance of two ranks: values, directories, links, namespaces, event logs, and what is said when
// something is wrong.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { Kvs } from '../../core/handle/kvs.ts';
import { KvsTransaction } from '../../core/handle/kvs-transaction.ts';
import type { JsonObject } from '../../core/json.ts';
import { type Instance, type RunOptions, startInstance } from './instance.ts';
import { checkRows } from './rows.ts';
import { until, withHandle } from './support.ts';

let instance: Instance;
before(async () => {
  instance = await startInstance(2);
});
after(() => instance.stop());

/** Each test has a namespace of its own. */
let namespace = '';
let tests = 0;
beforeEach(async () => {
  namespace = `test${++tests}`;
  await checkRows(instance, [{ args: ['kvs', 'namespace', 'create', namespace] }]);
});

/** Runs `flux kvs WORDS…` in the namespace of the test, one row after another. */
function check(rows: readonly KvsRow[]): Promise<void> {
  return checkRows(
    instance,
    rows.map(([words, stdout = '', { stderr, stdin, env } = {}]) => ({
      args: ['kvs', ...(typeof words === 'string' ? words.split(' ') : words)],
      stdout,
      ...(stderr && { stderr, exit: 1 }),
      options: { env: { FLUX_KVS_NAMESPACE: namespace, ...env }, ...(stdin !== undefined && { stdin }) },
    })),
  );
}

/** Words behind `flux kvs`, what they print, and the rest. It fails when something is said on stderr. */
type KvsRow = readonly [
  words: string | readonly string[],
  stdout?: string | RegExp,
  more?: {
    readonly stderr?: RegExp;
    readonly stdin?: string | Uint8Array;
    readonly env?: Readonly<Record<string, string>>;
  },
];

/** A change, and how many lines must have been shown before it is made. */
type Step = readonly [lines: number, change: KvsTransaction];

/** Runs `flux kvs WORDS…`, and makes changes when it has shown so much. */
async function changeWhile(words: string, steps: readonly Step[], options?: RunOptions): Promise<string> {
  let shown = 0;
  const outcome = instance.flux(['kvs', ...words.split(' ')], {
    ...options,
    env: { FLUX_KVS_NAMESPACE: namespace },
    until: (stdout) => {
      shown = stdout.split('\n').length - 1;
      return false;
    },
  });
  await withHandle(instance.uri, async (handle) => {
    for (const [lines, change] of steps) {
      await until(() => shown >= lines, `${words} has shown ${lines} lines`);
      await new Kvs(handle, namespace).commit(change);
    }
  });
  const { stdout, stderr, exit } = await outcome;
  return `${stdout}${stderr}${exit}`;
}

const put = (key: string, value: string) => new KvsTransaction().put(key, value);
const append = (key: string, value: string) => new KvsTransaction().append(key, value);

test('values', () =>
  check([
    ['put a=1 d.b=b=c e='],
    ['get a d.b e', '1\nb=c\n'],
    ['get -l a d.b', 'a=1\nd.b=b=c\n'],
    ['get --raw a d.b', '1b=c'],
    ['get .a...', '1\n'],
    ['put -r bin=- rest=-', '', { stdin: Uint8Array.of(65, 0, 66, 10) }],
    ['get bin', 'A\n'],
    ['get -r bin', 'A\0B\n'],
    ['get -r rest'],
    ['put text=-'],
    ['get text', '-\n'],
    ['put --append a=2 a=3'],
    ['get a', '123\n'],
    ['get --stream a', '123\n'],
    ['get --stream e'],
    [
      'get --treeobj a',
      '{"data":["sha1-356a192b7913b04c54574d18c28d46e6395428ab","sha1-da4b9237bacccdf19c0760cab7aec4a8359010b0","sha1-77de68daecd823babbb58edb1c8e14d7106e83bb"],"type":"valref","ver":1}\n',
    ],
    [['put', 'ключ.ƒ=vaĺue ☕'], ''],
    ['get ключ.ƒ', 'vaĺue ☕\n'],
  ]));

test('values that are not there, or are none', () =>
  check([
    ['put d.a=1'],
    ['get d.a nope d.a', '1\n', { stderr: /^flux-kvs get: nope: No such file or directory\n$/ }],
    ['get d', '', { stderr: /: d: Is a directory\n$/ }],
    ['get d.a.b', '', { stderr: /: d.a.b: No such file or directory\n$/ }],
    ['get -N nope a', '', { stderr: /: a: Operation not supported: is there a namespace 'nope'\?\n$/ }],
    ['put a', '', { stderr: /: 'a' is not KEY=VALUE\n$/ }],
    ['put =1', '', { stderr: /: a key of the KVS is not empty\n$/ }],
    ['put .=1', '', { stderr: /^flux-kvs put: \.: / }],
    ['put -A d=1', '', { stderr: /: d: Is a directory\n$/ }],
    ['put -t a=x', '', { stderr: /: a: the value is not JSON: / }],
    ['put -t a={}', '', { stderr: /: a: the version of a tree object is 1\n$/ }],
    ['put', '', { stderr: /missing required argument 'key=value'/ }],
    ['get', '', { stderr: /missing required argument 'key'/ }],
    ['nope', '', { stderr: /there is no command 'nope'/ }],
    ['', '', { stderr: /there is no command ''/ }],
  ]));

test('roots', async () => {
  await check([
    ['put -s a=1', '1\n'],
    ['put -b a=1', 'sha1-4269769cc1ce7a53ad0391196cc5cb2bb15c0bdd\n'],
    ['put -O a=1', '{"data":["sha1-4269769cc1ce7a53ad0391196cc5cb2bb15c0bdd"],"type":"dirref","ver":1}\n'],
    ['put --no-merge -s a=2', '4\n'],
    ['version', '4\n'],
    ['wait 4'],
    ['getroot -s', '4\n'],
    ['getroot -o', `${process.getuid!()}\n`],
    ['get -a {"data":["sha1-4269769cc1ce7a53ad0391196cc5cb2bb15c0bdd"],"type":"dirref","ver":1} a', '1\n'],
    ['get --at=x a', '', { stderr: /: --at: 'x' is not a tree object\n$/ }],
    ['get -w --at={} a', '', { stderr: /no --watch, --waitcreate or --stream\n$/ }],
    ['wait x', '', { stderr: /'x' is not a count/ }],
    ['getroot -N nope', '', { stderr: /: nope: Operation not supported/ }],
    ['sync', '', { env: { FLUX_KVS_NAMESPACE: 'primary' } }],
    ['put -S test.sync=1', '', { env: { FLUX_KVS_NAMESPACE: 'primary' } }],
  ]);
  const { stdout } = await instance.flux(['kvs', 'getroot', '-N', namespace]);
  assert.match(stdout, /^\{"data":\["sha1-[0-9a-f]{40}"\],"type":"dirref","ver":1\}\n$/);
});

test('a large value comes and goes in pieces', async () => {
  const bytes = Buffer.alloc(9_000_001, 'abcdefg\n');
  await check([['put --raw big=-', '', { stdin: bytes }]]);
  const { stdout } = await instance.flux(['kvs', 'get', '-N', namespace, '-t', 'big']);
  assert.equal(JSON.parse(stdout).data.length, 3, 'pieces');
  await check([
    ['link big l'],
    ['mkdir d'],
    ['get --raw --stream big', bytes.toString()],
    ['get --raw --stream l', bytes.toString()],
    ['get --stream d', '', { stderr: /: d: Is a directory\n$/ }],
    ['get --raw big', bytes.toString()],
  ]);
});

test('directories and their values', () =>
  check([
    ['put 10=x 9=y a=1 d.a=2 d.e.f=3'],
    ['put', '', { stderr: /missing/ }],
    [['put', `z=${'long '.repeat(20)}`, 'lines=one\ntwo'], ''],
    ['link d.a l'],
    ['mkdir empty'],
    ['dir', `10 = x\n9 = y\na = 1\nd.\nempty.\nl -> d.a\nlines = one...\nz = ${'long '.repeat(15).slice(0, 73)}...\n`],
    ['dir -d', '10\n9\na\nd.\nempty.\nl -> d.a\nlines\nz\n'],
    ['dir -R d', 'd.a = 2\nd.e.f = 3\n'],
    ['dir -Rd d.', 'd.a\nd.e.f\n'],
    ['dir -w 10 d', 'd.a = 2\nd.e.\n'],
    ['dir empty'],
    ['dir a', '', { stderr: /: a: Not a directory\n$/ }],
    ['dir nope', '', { stderr: /: nope: No such file or directory\n$/ }],
    ['dir d d', '', { stderr: /too many arguments/ }],
  ]));

test('lists of names', () =>
  check([
    ['put a=1 d.a=2 d.e.f=3'],
    ['link d l'],
    ['link nope n'],
    ['mkdir empty'],
    ['ls', 'a        d        empty    l        n\n'],
    ['ls -F', 'a        d.       empty.   l@       n@\n'],
    ['ls -1', 'a\nd\nempty\nl\nn\n'],
    ['ls -w 20', 'a        d\nempty    l\nn\n'],
    ['ls', 'a        d        empty\nl        n\n', { env: { COLUMNS: '30' } }],
    ['ls -R', '.:\na        d        empty    l        n\n\nd:\na    e\n\nd.e:\nf\n\nempty:\n'],
    ['ls n a l', 'a    n\n\nl:\na    e\n'],
    ['ls d empty', 'd:\na    e\n\nempty:\n'],
    ['ls -d d. a', 'a    d\n'],
    ['ls -F d l a', 'a     l@\n\nd:\na    e.\n'],
    ['ls a. a nope', 'a\n', { stderr: /: a: Not a directory\nflux-kvs ls: nope: No such file or directory\n$/ }],
    ['ls -N nope', '', { stderr: /is there a namespace 'nope'/ }],
  ]));

test('keys are removed', () =>
  check([
    ['put a=1 b=1 d.a=1'],
    ['mkdir empty'],
    ['unlink d', '', { stderr: /: cannot unlink 'd': Directory not empty\n$/ }],
    ['unlink a nope', '', { stderr: /: cannot unlink 'nope': No such file or directory\n$/ }],
    ['unlink -f a nope'],
    ['unlink empty'],
    ['ls', 'b    d\n'],
    ['unlink -Rs d b', '5\n'],
    ['ls'],
  ]));

test('links', () =>
  check([
    ['put a=1 d.a=2'],
    ['link a l'],
    ['link -s d m', '3\n'],
    ['link -T other x far'],
    ['get l m.a', '1\n2\n'],
    ['put m.new=3'],
    ['get d.new', '3\n'],
    ['readlink l far', 'a\nother::x\n'],
    ['readlink -o far l', 'other\na\n'],
    ['readlink -k far', 'x\n'],
    ['readlink a', '', { stderr: /: a: Invalid argument\n$/ }],
    ['get -t l', '{"data":{"target":"a"},"type":"symlink","ver":1}\n'],
    ['link x y'],
    ['link y x'],
    ['get x', '', { stderr: /^flux-kvs get: x: .*(symbolic |sym)links/ }],
    ['link x', '', { stderr: /missing required argument 'linkname'/ }],
  ]));

test('keys are copied and moved', async () => {
  const other = `${namespace}other`;
  await check([
    [`namespace create ${other}`],
    ['put a=1 d.a=2 d.e.f=3'],
    ['copy d c'],
    ['dir -R c', 'c.a = 2\nc.e.f = 3\n'],
    ['move a b'],
    ['ls', 'b    c    d\n'],
    ['version', '3\n'],
    ['move b b', '', { stderr: /: cannot move 'b' to 'b', which is the same or in it\n$/ }],
    ['move d .d.e.x', '', { stderr: /: cannot move 'd' to '\.d\.e\.x', which is the same or in it\n$/ }],
    ['move d dd'],
    [`move -D ${other} dd d`],
    ['ls', 'b    c\n'],
    [`dir -R -N ${other}`, 'd.a = 2\nd.e.f = 3\n'],
    [`copy -S ${other} d.a back`],
    ['get back', '2\n'],
    ['copy nope x', '', { stderr: /: nope: No such file or directory\n$/ }],
  ]);
});

test('namespaces', () =>
  check([
    ['namespace create -o 1234 ns-a ns-b'],
    ['namespace list', /^NAMESPACE {33}OWNER {6}FLAGS\n(.*\n)*ns-b {39}1234 0x00000000\n/],
    ['getroot -o -N ns-a', '1234\n'],
    ['namespace create ns-a', '', { stderr: /: ns-a: .*exists/ }],
    ['namespace create -o x ns-c', '', { stderr: /'x' is not a userid/ }],
    ['put -N ns-a a=1'],
    ['namespace create -r sha1-4269769cc1ce7a53ad0391196cc5cb2bb15c0bdd ns-c'],
    ['get -N ns-c a', '1\n'],
    ['namespace remove ns-a ns-b ns-c'],
    ['get -N ns-a a', '', { stderr: /Operation not supported/ }],
    ['namespace remove primary', '', { stderr: /: primary: .*(not supported|cannot be removed)\n$/ }],
  ]));

test('keys are watched', async () => {
  await check([['put a=1 d.a=1', '']]);
  const rows: readonly (readonly [words: string, steps: readonly Step[], output: string | RegExp])[] = [
    [
      'get -wc3 a',
      [
        [1, put('a', '1')],
        [2, put('a', '2')],
      ],
      '1\n1\n2\n0',
    ],
    [
      'get -wuc2 a',
      [
        [1, put('a', '2')],
        [1, put('a', '3')],
      ],
      '2\n3\n0',
    ],
    [
      'get -wAc3 a',
      [
        [1, append('a', '4')],
        [2, append('a', '5')],
      ],
      '3\n4\n5\n0',
    ],
    ['get -wA a', [[3, put('a', '0')]], /^3\n4\n5\nflux-kvs get: a: .*1$/s],
    ['get -wlc3 a d.a', [[2, put('d.a', '2')]], /^(a=0\nd\.a=1|d\.a=1\na=0)\nd\.a=2\n0$/],
    ['get -wf d.a', [[1, new KvsTransaction().unlink('d')]], /^2\nflux-kvs get: d\.a: .*\n1$/],
    ['get -w nope', [], /^flux-kvs get: nope: .*\n1$/],
    ['get -w --stream a', [], /^flux-kvs get: .*1$/s],
  ];
  for (const [words, steps, output] of rows) {
    const outcome = await changeWhile(words, steps);
    if (typeof output === 'string') assert.equal(outcome, output, words);
    else assert.match(outcome, output, words);
  }
});

/** Waits until somebody watches keys of the namespace. */
function untilWatched(): Promise<void> {
  return withHandle(instance.uri, (handle) =>
    until(async () => {
      const { namespaces } = await handle.rpc<{ namespaces: JsonObject }>('kvs-watch.stats-get');
      return namespaces[namespace] !== undefined;
    }, 'a key is watched'),
  );
}

test('keys that are not there yet are waited for', async () => {
  const waits = changeWhile('get --waitcreate a', []);
  await untilWatched();
  await check([['put other=1'], ['put a=now']]);
  assert.equal(await waits, 'now\n0');
});

test('event logs', () =>
  check([
    ['eventlog append -t 1 log one'],
    [['eventlog', 'append', '-t', '2.5', 'log', 'two', '{"a":1,', '"b":"c d"}'], ''],
    ['eventlog append -t 65.25 log three {}'],
    ['eventlog get log', '1.000000 one\n2.500000 two a=1 b="c d"\n65.250000 three\n'],
    ['eventlog get -S log', '1.000000 one\n2.500000 two a=1 b="c d"\n65.250000 three\n'],
    ['eventlog get -H log', '[Jan01 00:00] one\n[  +1.500000] two a=1 b="c d"\n[Jan01 00:01] three\n'],
    [
      'eventlog get -u log',
      '{"timestamp":1.0,"name":"one"}\n{"timestamp":2.5,"name":"two","context":{"a":1,"b":"c d"}}\n{"timestamp":65.25,"name":"three","context":{}}\n',
    ],
    ['eventlog get -wc2 log', '1.000000 one\n2.500000 two a=1 b="c d"\n'],
    ['eventlog wait-event log two', '2.500000 two a=1 b="c d"\n'],
    ['eventlog wait-event -q -t 1h log two'],
    ['eventlog wait-event -v log two', '1.000000 one\n2.500000 two a=1 b="c d"\n'],
    ['eventlog wait-event -t 0.1 log nope', '', { stderr: /: wait-event timeout on event 'nope'\n$/ }],
    ['eventlog wait-event nope nope', '', { stderr: /: nope: .*\n$/ }],
    ['eventlog append log x [1]', '', { stderr: /: the context is not a JSON object: \[1\]\n$/ }],
    ['eventlog append -t x log x', '', { stderr: /'x' is not a time in seconds/ }],
    ['eventlog get -uH log', '', { stderr: /: --unformatted does not go together with --human or --color=always\n$/ }],
    ['put text=one bad=1\n'],
    ['eventlog get text', '', { stderr: /: text: the value is not an event log\n$/ }],
    ['eventlog get bad', '', { stderr: /: bad: line 1 of the event log: it is not a JSON object\n$/ }],
    ['eventlog get', '', { stderr: /missing required argument 'key'/ }],
    ['eventlog', '', { stderr: /^Usage: flux kvs eventlog COMMAND/ }],
    ['eventlog --help', /^Usage: flux kvs eventlog COMMAND/],
  ]));

test('an event that is appended now has the time of now', async () => {
  const before = Date.now() / 1000;
  await check([['eventlog append log now', '']]);
  const { stdout } = await instance.flux(['kvs', 'eventlog', 'get', '-N', namespace, 'log']);
  const seconds = Number(stdout.split(' ')[0]);
  assert.ok(seconds > before - 1 && seconds < Date.now() / 1000 + 1, stdout);
});

test('events are waited for', async () => {
  const event = (timestamp: number, name: string) => new KvsTransaction().appendEvent('log', { timestamp, name });
  const waits = changeWhile('eventlog wait-event -Wv log two', [
    [0, event(1, 'one')],
    [1, event(2, 'two')],
  ]);
  assert.equal(await waits, '1.000000 one\n2.000000 two\n0');
});

test('what has changed between roots', async () => {
  await check([['put a=1 d.e=1 same.x=1', '']]);
  const root = (await instance.flux(['kvs', 'getroot', '-b', '-N', namespace])).stdout.trim();
  await check([
    ['put a=2 new.b=1'],
    ['unlink -R d'],
    ['mkdir empty'],
    [`diff ${root}`, '~ a\n- d.e\n+ empty.\n+ new.b\n'],
    [`diff {"data":["${root}"],"type":"dirref","ver":1} ${root}`],
    [
      `diff --json ${root}`,
      /^\{"key":"a","change":"changed","before":\{"data":"MQ==","type":"val","ver":1\},"after":\{"data":"Mg==","type":"val","ver":1\}\}\n\{"key":"d\.e","change":"removed","before":\{.*\}\}\n\{"key":"empty","change":"added".*\n.*\n$/,
    ],
    [`diff -L ${root}`, '\x1b[33m~ a\x1b[0m\n\x1b[31m- d.e\x1b[0m\n\x1b[32m+ empty.\x1b[0m\n\x1b[32m+ new.b\x1b[0m\n'],
    ['diff x', '', { stderr: /: 'x' is neither a blobref nor a dirref nor the sequence number of a checkpoint\n$/ }],
    ['diff 987654', '', { stderr: /: there is no checkpoint 987654/ }],
    [`diff sha1-${'0'.repeat(40)}`, '', { stderr: /: sha1-0{40}: No such file or directory\n$/ }],
  ]);
});

test('what has changed in a directory that is stored in buckets', async () => {
  const pairs = Array.from({ length: 1000 }, (_, i) => `d.k${i}=${i}`);
  await check([[['put', ...pairs]], ['mkdir other']]);
  const root = (await instance.flux(['kvs', 'getroot', '-b', '-N', namespace])).stdout.trim();
  await check([
    ['put d.k300=x d.new=1'],
    ['unlink d.k7'],
    [`diff ${root}`, '~ d.k300\n- d.k7\n+ d.new\n'],
    ['unlink -R d'],
    [`diff ${root}`, new RegExp(`^(- d\\.k\\d+\\n){${pairs.length}}$`)],
  ]);
});

test('roots over time', async () => {
  const primary = { env: { FLUX_KVS_NAMESPACE: 'primary' } };
  await check([
    ['put -S test.log=1', '', primary],
    ['put test.log=2', '', primary],
    [
      'log',
      /\d+ \d{4}-\d\d-\d\dT\S+ sha1-[0-9a-f]{40}\n( {2}.*\n)*\d+ newest sha1-[0-9a-f]{40}\n {2}~ test\.log\n$/,
      primary,
    ],
    ['log -b', /^(\d+ \S+ sha1-[0-9a-f]{40}\n)+$/, primary],
    [
      'log --json',
      /\n\{"sequence":\d+,"timestamp":null,"rootref":"sha1-[0-9a-f]{40}","changes":\[\{"key":"test\.log",.*\}\]\}\n$/,
      primary,
    ],
    ['log', '0 newest sha1-c0a9faf907dda6216fd73bf81d0b3b21a1a8cb91\n'],
    ['log -N nope', '', { stderr: /: nope: Operation not supported/ }],
  ]);
  assert.match(
    await changeWhile('log -fc2', [
      [1, put('a', '1')],
      [3, put('a', '2')],
    ]),
    /^0 newest \S+\n1 \S+Z sha1-\S+\n {2}\+ a\n2 \S+Z sha1-\S+\n {2}~ a\n0$/,
  );
});

test('guests read and write their own namespaces', async () => {
  await check([[`namespace create -o 1234 ${namespace}guest`, '']]);
  const env = { FLUX_KVS_NAMESPACE: `${namespace}guest`, FLUX_HANDLE_USERID: '1234', FLUX_HANDLE_ROLEMASK: '2' };
  const bytes = Buffer.alloc(5_000_000, 'x');
  await check([
    ['put a=1 d.b=2', '', { env }],
    ['dir -R', 'a = 1\nd.b = 2\n', { env }],
    ['ls', 'a    d\n', { env }],
    ['put --raw big=-', '', { env, stdin: bytes }],
    ['get --raw big', bytes.toString(), { env }],
    ['get --raw --stream big', bytes.toString(), { env }],
    ['get -N primary resource.R', '', { env, stderr: /: resource.R: Operation not permitted\n$/ }],
    ['link a b', '', { env, stderr: /^flux-kvs link: b: / }],
    ['namespace create x', '', { env, stderr: /^flux-kvs namespace create: x: / }],
  ]);
});

test('other ranks see what is committed', async () => {
  await check([['put -s a=1', '1\n']]);
  const script = `flux exec -r 1 flux kvs wait -N ${namespace} 1 && flux exec -r 1 flux kvs get -N ${namespace} a`;
  assert.equal((await instance.shell(script)).stdout, '1\n');
});
