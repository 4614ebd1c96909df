/**
 * Replays one recorded conversation against a fresh instance: its dialogue on the wire, or its command line. Each has a
 * temporary folder that stands for the /tmp of the recording, and an environment that does not depend on the caller's.
 */

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Handle } from '../../core/handle/handle.ts';
import { flux, type Instance, startInstance } from '../e2e/instance.ts';
import { type Difference, textDifferences } from './compare.ts';
import { hasOwnShellLog, isUnordered } from './expectations.ts';
import { type Head, type Recording, readRecording } from './recording.ts';
import { Substitution } from './substitution.ts';
import { playDialogue } from './wire.ts';

export type Mode = 'wire' | 'cli';

/** Seconds that a script or a command may take, and all that is done with an instance. */
const SCRIPT_SECONDS = 60;
const SCENE_SECONDS = 180;
/** Milliseconds that an answer may take. */
const ANSWER_MS = 8000;
/** PATH of the recorded clients, which they hand on to the programs that they run. */
const RECORDED_PATH = '/usr/local/bin:/usr/bin:/bin';

interface Scene {
  readonly recording: Recording;
  readonly instance: Instance;
  readonly env: Record<string, string>;
  readonly cwd: string;
  readonly substitution: Substitution;
}

interface Ended {
  readonly stdout: Buffer;
  readonly stderr: string;
  /** The exit code, or the signal's number with a minus. */
  readonly exit: number;
}

/** Runs a program; `act` is called once it runs. */
function runProgram(
  scene: Scene,
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
  act: (child: ReturnType<typeof spawn>) => void = (child) => child.stdin?.end(),
): Promise<Ended> {
  const [file, ...args] = argv;
  const child = spawn(file!, args, { cwd: scene.cwd, env: { ...scene.env, ...env }, detached: true });
  const timer = setTimeout(() => {
    try {
      process.kill(-child.pid!, 'SIGKILL');
    } catch {
      // All of its group have ended.
    }
    // What has left its group may hold its output open.
    child.stdout.destroy();
    child.stderr.destroy();
  }, SCRIPT_SECONDS * 1000);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  child.stdin.on('error', () => {});
  act(child);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const exit = code ?? -os.constants.signals[signal!];
      resolve({ stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString(), exit });
    });
  });
}

function runScript(scene: Scene, script: string): Promise<Ended> {
  return runProgram(scene, ['bash', '-c', `set -e\n${script}`]);
}

/** Does what was done before the recording; the variables that it sets are known to all that follows. */
async function setUp(scene: Scene): Promise<Difference[]> {
  const { setup, vars = {} } = scene.recording.head;
  if (setup === undefined) return [];
  const file = path.join(scene.cwd, '.variables');
  const save = `for v in $(compgen -v V_); do printf '%s\\0%s\\0' "$v" "\${!v}" >> ${file}; done`;
  const { exit, stderr } = await runScript(scene, `${setup}\n${save}`);
  if (exit !== 0) return [{ where: 'set-up', recorded: 0, actual: `${exit}: ${stderr}` }];
  const words = fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\0') : [];
  for (let i = 0; i + 1 < words.length; i += 2) {
    const [name, value] = [words[i]!, words[i + 1]!];
    scene.env[name] = value;
    if (vars[name] !== undefined) scene.substitution.setVariable(vars[name], value);
  }
  return [];
}

/** What comes from outside while the client is at work; signals are for its process. */
async function happenDuring(scene: Scene, signal: (name: string) => void): Promise<void> {
  for (const [seconds, act] of scene.recording.head.during ?? []) {
    await sleep(seconds * 1000);
    if (/^SIG|^CLOSE_STDIN$/.test(act)) signal(act);
    else await runScript(scene, act);
  }
}

function expandVariables(word: string, env: Readonly<Record<string, string>>): string {
  return word.replace(/\$(V_\w+)/g, (text, name: string) => env[name] ?? text);
}

async function runCommand(scene: Scene, uri: string): Promise<Difference[]> {
  const { head } = scene.recording;
  const expand = (word: string) => expandVariables(word, scene.env);
  const env = Object.fromEntries(Object.entries(head.env ?? {}).map(([name, value]) => [name, expand(value)]));
  let during = Promise.resolve();
  const { stdout, stderr, exit } = await runProgram(
    scene,
    (head.argv_template ?? head.argv).map(expand),
    { FLUX_URI: uri, ...env },
    (child) => {
      if (head.stdin !== undefined) child.stdin!.write(head.stdin);
      if (!head.during?.some(([, act]) => act === 'CLOSE_STDIN')) child.stdin!.end();
      during = happenDuring(scene, (name) => {
        if (name === 'CLOSE_STDIN') child.stdin!.end();
        else child.kill(name as NodeJS.Signals);
      });
    },
  );
  await during;
  return [
    ...(exit === head.exit ? [] : [{ where: 'exit', recorded: head.exit, actual: `${exit}: ${stderr}` }]),
    ...stdoutDifferences(head, stdout, scene.substitution),
    ...saysSomething('stderr', head.stderr ?? '', stderr),
  ];
}

function stdoutDifferences(head: Head, stdout: Buffer, substitution: Substitution): Difference[] {
  if (head.stdout_b64 !== undefined) {
    const [recorded, actual] = [head.stdout_b64, stdout.toString('base64')];
    return recorded === actual ? [] : [{ where: 'stdout', recorded, actual }];
  }
  const recorded = head.stdout ?? '';
  // A help text is each program's own.
  if (/^usage:/im.test(recorded)) return saysSomething('stdout', recorded, stdout.toString());
  const inOrder = (text: string): string => (isUnordered(head.name) ? text.split('\n').sort().join('\n') : text);
  return textDifferences('stdout', inOrder(substitution.text(recorded)), inOrder(stdout.toString()));
}

function saysSomething(name: string, recorded: string, actual: string): Difference[] {
  return (recorded.trim() === '') === (actual.trim() === '') ? [] : [{ where: `${name} lines`, recorded, actual }];
}

async function talk(scene: Scene, uri: string): Promise<Difference[]> {
  const { recording, substitution } = scene;
  const during = happenDuring(scene, () => {});
  const found = await playDialogue(recording.lines, uri, substitution, {
    answerMs: ANSWER_MS,
    skipsShellLog: hasOwnShellLog(recording.head.name),
  });
  await during;
  return found;
}

async function localUri(uri: string, rank: number): Promise<string> {
  const handle = await Handle.open(uri);
  const value = await handle.attribute('local-uri', { nodeid: rank });
  await handle.close();
  return value;
}

async function play(scene: Scene, mode: Mode): Promise<Difference[]> {
  const { head } = scene.recording;
  const fault = await setUp(scene);
  if (fault.length) return fault;
  const { uri } = scene.instance;
  const ownUri = head.rank ? await localUri(uri, head.rank) : uri;
  const found = await (mode === 'wire' ? talk(scene, ownUri) : runCommand(scene, ownUri));
  if (found.length || head.post === undefined) return found;
  const { stdout } = await runScript(scene, head.post);
  return textDifferences('post', scene.substitution.text(head.post_stdout ?? ''), stdout.toString());
}

function makeFolder(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-replay-'));
  for (const name of ['cwd', 'home']) fs.mkdirSync(path.join(folder, name));
  fs.chmodSync(folder, 0o1777);
  return folder;
}

function environment(folder: string): Record<string, string> {
  const { username } = os.userInfo();
  return {
    PATH: [...new Set([path.dirname(flux), ...RECORDED_PATH.split(':'), path.dirname(process.execPath)])].join(':'),
    HOME: path.join(folder, 'home'),
    USER: username,
    LOGNAME: username,
    SHELL: '/bin/bash',
    LANG: 'C.UTF-8',
    TZ: 'UTC',
    TMPDIR: folder,
  };
}

/** Replays a conversation, with the ranks in some processes, and resolves to all that is not as recorded. */
export async function replay(name: string, mode: Mode, procs: number): Promise<Difference[]> {
  const folder = makeFolder();
  try {
    const recording = readRecording(name, folder);
    const { size, start_options = [], config } = recording.head;
    const options = ['-Shostname=fluxhost', `--procs=${Math.min(procs, size)}`, ...start_options];
    if (config !== undefined) {
      fs.writeFileSync(path.join(folder, 'config.toml'), config);
      options.push(`--config-path=${folder}/config.toml`);
    }
    const env = environment(folder);
    const cwd = path.join(folder, 'cwd');
    const instance = await startInstance(size, options, { cwd, env });
    env.FLUX_URI = instance.uri;
    const substitution = new Substitution();
    substitution.set(`${folder}/flux-XXXXXX`, path.dirname(instance.uri.replace('local://', '')));
    substitution.set(RECORDED_PATH, env.PATH!);
    // Clients do not ask their broker for it.
    substitution.set('ssh://fluxhost/', `ssh://${os.hostname()}/`);
    // Without its instance, whatever waits for an answer gets an error.
    const timer = setTimeout(() => instance.kill(), SCENE_SECONDS * 1000);
    try {
      return await play({ recording, instance, env, cwd, substitution }, mode);
    } finally {
      clearTimeout(timer);
      await instance.stop();
    }
  } finally {
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}
