// Commands that need no instance, or little of one: help, keygen, top, admin, job-validator.

import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { parseCertificate } from '../../core/formats/certificate.ts';
import { Jobspec } from '../../core/formats/jobspec.ts';
import { flux, type Instance, run, startInstance } from './instance.ts';
import { checkRows } from './rows.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-tools-test-'));
let instance: Instance;
before(async () => {
  instance = await startInstance(1, ['--test-hosts=node1']);
});
after(async () => {
  await instance.stop();
  fs.rmSync(folder, { recursive: true });
});

test('help lists commands, and shows the page of one', async () => {
  await checkRows(instance, [
    { args: ['help'], stdout: /^Usage: flux .*\n(.*\n)*Programs on ranks:\n(.*\n)* {2}exec +\S.*\n/ },
    { args: ['--help'], stdout: /^Usage: flux / },
    { args: [], stderr: /^Usage: flux /, exit: 1 },
    {
      args: ['help', 'exec'],
      stdout: /^flux-exec\(1\)\n\nNAME\n {4}flux-exec - .*\n\nSYNOPSIS\n(.*\n)* {4}-r, --rank=IDSET\n {8}\S/,
    },
    { args: ['help', 'flux-exec'], stdout: /^flux-exec/ },
    { args: ['help', 'flux'], stdout: /^flux\(1\)\n\nNAME\n {4}flux - / },
    { args: ['help', 'lsattr'], stdout: /^flux-getattr\(1\)\n\nNAME\n/ },
    { args: ['--help', 'lsattr'], stdout: /lsattr/ },
    { args: ['help', 'nosuch'], stderr: /there is no command 'nosuch'/, exit: 1 },
    { args: ['help', '../../README'], stderr: /there is no command/, exit: 1 },
  ]);
  // Every command that help lists has a page, and no line of any is longer than the terminal.
  const { stdout } = await run(flux, ['help']);
  const names = stdout.split('\n').flatMap((line) => /^ {2}([\w-]+) {2,}\S/.exec(line)?.[1] ?? []);
  for (const name of names) assert.ok(fs.existsSync(`docs/man/flux-${name}.md`), `docs/man/flux-${name}.md`);
});

test('options in front of the command are for all commands', async () => {
  const file = path.join(folder, 'flux-mine');
  fs.writeFileSync(file, '#!/bin/sh\necho "mine $*"\nexit 5\n', { mode: 0o755 });
  const env = { FLUX_EXEC_PATH: folder };
  await checkRows(instance, [
    { args: ['mine', '-a', 'b'], options: { env }, stdout: 'mine -a b\n', exit: 5 },
    { args: [file, 'b'], stdout: 'mine b\n', exit: 5 },
    {
      args: ['-v', 'mine'],
      options: { env },
      stdout: /^PATH=.*\nFLUX_EXEC_PATH=.*\n(\w+=.*\n)*FLUX_URI=local:.*\nmine \n$/,
      stderr: /^flux: trying to exec .*\/flux-mine\n/m,
      exit: 5,
    },
    // An instance that nothing encloses is its own outermost one.
    { args: ['-pp', 'getattr', 'size'], stdout: '1\n' },
    { args: ['-vr', 'getattr', 'size'], stdout: /\n1\n$/ },
    { args: ['-V'], stdout: /^commands: / },
    { args: ['--', 'getattr', 'size'], stdout: '1\n' },
    { args: ['-vx', 'getattr', 'size'], stderr: /^flux: unrecognized option '-x'\nTry /, exit: 1 },
    { args: ['--parent=2', 'getattr', 'size'], stderr: /unrecognized option '--parent=2'/, exit: 1 },
    {
      args: ['getatr', 'size'],
      stderr: /^flux: `getatr' is not a flux command.*\n.*similar.*\nflux: \tgetattr\n$/,
      exit: 1,
    },
    { args: ['/no/such', 'size'], stderr: /^flux: `\/no\/such' is not a flux command/, exit: 1 },
    { args: ['lsattr', '--json'], stdout: /^\{.*"size":"1".*\}\n$/ },
    { args: ['lsattr', '-v'], stdout: /^size {36}1$/m },
  ]);
});

test('errors show where they were made to whoever asks for it', async () => {
  const rows = [
    { args: ['help', 'nosuch'], text: "flux-help: FluxError: there is no command 'nosuch'" },
    { args: ['getattr', 'nosuch'], text: 'flux-getattr: FluxError: nosuch: No such file or directory' },
  ];
  for (const { args, text } of rows) {
    const { stderr, exit } = await instance.flux(args, { env: { FLUX_DEBUG: '1' } });
    assert.match(stderr, new RegExp(`^${text}\\n +at .*:\\d+:\\d+`));
    assert.equal(exit, 1);
  }
});

test('keygen makes a certificate that only its owner reads', async () => {
  const file = path.join(folder, 'certificate');
  fs.writeFileSync(file, 'old', { mode: 0o644 });
  await checkRows(instance, [
    { args: ['keygen', '--name=fluke', '--meta=site=here,empty', '--meta=a.b-c=d e', file] },
    { args: ['keygen'], stderr: /not kept/ },
    { args: ['keygen', '/no/such/folder/file'], stderr: /\/no\/such\/folder\/file: No such file/, exit: 1 },
    { args: ['keygen', '--meta=a b=c', file], stderr: /'a b' is no name/, exit: 1 },
    { args: ['keygen', '--meta=a="', file], stderr: /characters it must not have/, exit: 1 },
    { args: ['keygen', 'a', 'b'], stderr: /too many arguments/, exit: 1 },
  ]);
  assert.equal(fs.statSync(file).mode & 0o777, 0o600);
  const { metadata, publicKey, secretKey } = parseCertificate(fs.readFileSync(file, 'utf8'));
  assert.deepEqual(
    ['name', 'site', 'empty', 'a.b-c', 'keygen.hostname'].map((key) => metadata.get(key)),
    ['fluke', 'here', '', 'd e', os.hostname()],
  );
  const x = Buffer.from(publicKey).toString('base64url');
  const d = Buffer.from(secretKey).toString('base64url');
  const key = createPrivateKey({ key: { kty: 'OKP', crv: 'X25519', x, d }, format: 'jwk' });
  assert.equal(createPublicKey(key).export({ format: 'jwk' }).x, x);
});

test('lptest prints a pattern that begins one character further on in each line', async () => {
  await checkRows(instance, [
    { args: ['lptest', '5', '3'], stdout: '!"#$%\n"#$%&\n#$%&\'\n' },
    { args: ['lptest', '0', '2'], stdout: '\n\n' },
    { args: ['lptest', 'x'], stderr: /'x' is not a count/, exit: 1 },
    { args: ['lptest', '1', '2', '3'], stderr: /too many arguments/, exit: 1 },
  ]);
  const lines = (await run(flux, ['lptest', '7', '2000'])).stdout.split('\n');
  assert.deepEqual([lines.length, lines[94], lines[1999]], [2001, lines[0], lines[1999 % 94]]);
});

test('top wants a terminal', () =>
  checkRows(instance, [{ args: ['top'], stderr: /^flux-top: stdin is not a terminal\n$/, exit: 1 }]));

test('commands are run when the instance ends, the last pushed first', async () => {
  const file = path.join(folder, 'order');
  const other = await startInstance(1);
  const env = { FLUX_URI: other.uri };
  const stdin = `echo one >>${file}\necho two >>${file}\n`;
  assert.equal((await run(flux, ['admin', 'cleanup-push'], { env, stdin })).exit, 0);
  assert.equal((await run(flux, ['admin', 'cleanup-push', 'echo', 'three', '>>', file], { env })).exit, 0);
  assert.equal((await other.stop()).exit, 0);
  assert.equal(fs.readFileSync(file, 'utf8'), 'three\none\ntwo\n');
  await checkRows(instance, [
    { args: ['admin', 'cleanup-push'], stderr: /standard input has no command/, exit: 1 },
    { args: ['admin'], stderr: /^Usage: flux admin COMMAND/, exit: 2 },
    { args: ['admin', 'system-scripts', '-v'], stderr: /run no jobs yet/, exit: 1 },
  ]);
});

const system = (more = '') => `"attributes":{"system":{"duration":0${more}}}`;
const jobspec = (more = '') => `{"resources":[],"tasks":[],${system(more)},"version":1}`;

function nodes(count: number, ...words: string[]): string {
  return Jobspec.forSlots(words, { slots: count, cores: 1, nodes: count }).encode();
}

/** The file of a validator that wants jobs to have the bank that its first argument names. */
function bankValidator(kind: string): string {
  const file = path.join(folder, `bank.${kind}`);
  const body = `function validate({ jobspec }, { args, config }) {
    if (!config) throw new Error('no configuration');
    if (jobspec.attributes.system.bank !== args[0]) throw new Error('no ' + args[0] + ' here');
  }`;
  fs.writeFileSync(file, kind === 'cjs' ? `${body}\nexports.validate = validate;` : `export ${body}`);
  return file;
}

test('job-validator answers each line', () =>
  checkRows(instance, [
    { args: ['job-validator', '--jobspec-only'], options: { stdin: `${jobspec()}\n` }, stdout: '{"errnum": 0}\n' },
    {
      args: ['job-validator', '--jobspec-only'],
      options: { stdin: `{"resources":[],"tasks":[],"attributes":{},"version":1}\n${jobspec()}\n` },
      stdout: '{"errnum": 1, "errstr": "attributes.system is a required key"}\n{"errnum": 0}\n',
      exit: 1,
    },
    {
      args: ['job-validator'],
      options: { stdin: `{"jobspec":${jobspec()},"userid":1,"flags":0,"urgency":16}\n{}\n` },
      stdout: '{"errnum": 0}\n{"errnum": 1, "errstr": "the job has no jobspec"}\n',
    },
    {
      args: ['job-validator', '--jobspec-only'],
      options: { stdin: `${jobspec(',"constraints":{"hostlist":["node1","nosuch"]}')}\n` },
      stdout: /nosuch/,
      exit: 1,
    },
    { args: ['job-validator'], options: { stdin: 'x\n' }, stderr: /no JSON/, exit: 1 },
    { args: ['job-validator', '--require-version=2'], stderr: /Invalid argument to --require-version/, exit: 1 },
    {
      args: ['job-validator', '--jobspec-only', '--plugins=jobspec,require-instance', '--require-instance-minnodes=2'],
      options: { stdin: `${nodes(1, 'true')}\n${nodes(2, 'true')}\n${nodes(2, 'flux', 'start')}\n` },
      stdout:
        /^{"errnum": 0}\n{"errnum": 22, "errstr": "Direct job submission disabled for jobs >= 2 .*"}\n{"errnum": 0}\n$/,
      exit: 1,
    },
    {
      args: ['job-validator', '--jobspec-only', '--plugins', 'feasibility'],
      options: { stdin: `${nodes(1, 'true')}\n${nodes(1000, 'true')}\n` },
      stdout: /^{"errnum": 0}\n{"errnum": 75, "errstr": ".+"}\n$/,
      exit: 1,
    },
    { args: ['job-validator', '--plugins=nosuch'], stderr: /validator plugin 'nosuch' not found/, exit: 1 },
    {
      args: ['job-validator', '--list-plugins'],
      stdout: /^Available plugins:\nfeasibility {2}.*\njobspec .*\nrequire-ins.*\n$/,
    },
    ...['mjs', 'cjs'].map((kind) => ({
      args: ['job-validator', '--jobspec-only', `--plugins=jobspec,${bankValidator(kind)}`, '--', 'bank A'],
      options: { stdin: `${jobspec()}\n${jobspec(',"bank":"bank A"')}\n` },
      stdout: '{"errnum": 1, "errstr": "no bank A here"}\n{"errnum": 0}\n',
      exit: 1,
    })),
    {
      args: ['job-validator', '--plugins=./nosuch.js'],
      options: { stdin: `{"jobspec":${jobspec()}}\n` },
      stdout: /"ENOENT: no such file .*nosuch\.js/,
    },
    { args: ['job-validator', 'word'], stderr: /no validator in a file takes 'word'/, exit: 1 },
    { args: ['job-validator', '--nosuch'], stderr: /unknown option '--nosuch'/, exit: 2 },
  ]));

const SIGPIPE_EXIT = 128 + os.constants.signals.SIGPIPE;

test('a command whose output nobody reads ends as SIGPIPE ends programs', async () => {
  for (const line of ['help', 'help exec', 'getattr --help', 'getattr size', 'idset 0-3', 'R encode', 'lsattr -v']) {
    const { stderr, exit } = await instance.shell(`exec 3> >(:); wait $!; flux ${line} >&3`);
    assert.deepEqual({ stderr, exit }, { stderr: '', exit: SIGPIPE_EXIT }, line);
  }
});

test('a command whose output finds no room says so', async () => {
  for (const line of ['help', 'getattr size', 'idset 0-3', 'exec -r 0 echo x']) {
    const { stderr, exit } = await instance.shell(`flux ${line} >/dev/full`);
    assert.deepEqual({ stderr, exit }, { stderr: 'flux: write error: No space left on device\n', exit: 1 }, line);
  }
});

test('multi-prog runs the program of a rank', async () => {
  const file = path.join(folder, 'programs');
  fs.writeFileSync(file, '0 sh -c "echo rank %t; exit 3"\n1-2,5 echo "a b" %t.%o # comment\n7 nosuch-program\n');
  const rank = (value: string) => ({ env: { FLUX_TASK_RANK: value } });
  await checkRows(instance, [
    { args: ['multi-prog', '-n', '1,5', file], stdout: "1: echo 'a b' 1.0\n5: echo 'a b' 5.2\n" },
    {
      args: ['multi-prog', '-n', '2-3', file],
      stdout: "2: echo 'a b' 2.1\n",
      stderr: /no line is for rank 3/,
      exit: 1,
    },
    { args: ['multi-prog', file], options: rank('0'), stdout: 'rank 0\n', exit: 3 },
    { args: ['multi-prog', file], options: rank('5'), stdout: 'a b 5.2\n' },
    { args: ['multi-prog', file], options: rank('7'), stderr: /nosuch-program/, exit: 1 },
    { args: ['multi-prog', file], options: rank('x'), stderr: /FLUX_TASK_RANK/, exit: 1 },
    { args: ['multi-prog', `${file}.none`], stderr: /programs.none: /, exit: 1 },
    { args: ['multi-prog', '-n', 'x', file], stderr: /x/, exit: 2 },
    { args: ['multi-prog'], stderr: /config/, exit: 2 },
  ]);
});

test('command lines about jobs that are wrong are refused before anyone is asked', async () => {
  await checkRows(instance, [
    { args: ['queue'], stderr: /Usage: flux queue/, exit: 2 },
    { args: ['queue', 'nosuch'], stderr: /there is no command 'nosuch'/, exit: 2 },
    { args: ['queue', 'status', '-q', 'a', 'b'], stderr: /two queues are named/, exit: 1 },
    { args: ['queue', 'status', '-a'], stderr: /-a/, exit: 2 },
    { args: ['queue', 'drain', '-t', 'x'], stderr: /--timeout: 'x'/, exit: 1 },
    { args: ['queue', 'list', '-o', '{nosuch}'], stderr: /there is no field 'nosuch'/, exit: 1 },
    {
      args: ['queue', 'list', '-o', 'get-config=policy'],
      stdout: /^\[list.formats.policy\]\ndescription = ".*"\nformat = ".*"\n$/,
    },
    { args: ['housekeeping', 'kill'], stderr: /--targets, --jobid or --all/, exit: 1 },
    { args: ['housekeeping', 'kill', '--all', '-j', 'f1'], stderr: /exclude each other/, exit: 1 },
    { args: ['housekeeping', 'kill', '-j', 'all'], stderr: /'all' is not a job id/, exit: 2 },
    { args: ['jobtap', 'load'], stderr: /plugin/, exit: 2 },
    { args: ['jobtap', 'load', 'x.so', '-r', 'y'], stderr: /'-r' is not of the form KEY=VALUE/, exit: 1 },
    { args: ['post-job-event', 'x', 'test'], stderr: /'x' is not a job id/, exit: 1 },
    { args: ['update', 'x', 'a=1'], stderr: /'x' is not a job id/, exit: 2 },
    { args: ['update', 'f1'], stderr: /updates/, exit: 2 },
    {
      args: ['update', '-n', 'f1', 'duration=1h', 'a=é'],
      stdout: '{"attributes.system.duration": 3600.0, "attributes.system.a": "\\u00e9"}\n',
    },
    { args: ['watch'], stderr: /--active, --all or --filter/, exit: 1 },
    { args: ['watch', '--since=+1h'], stderr: /in the future/, exit: 2 },
    { args: ['watch', '-f', 'nosuch'], stderr: /'nosuch' is neither/, exit: 1 },
  ]);
});
