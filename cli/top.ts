import fs from 'node:fs';
import os from 'node:os';
import { asFluxError, FluxError } from '../core/errno.ts';
import { describe, Exit, runCommand, subcommand } from './command.ts';
import { type ColorOption, colorOption, isColored } from './terminal.ts';
import { INTERRUPT, type Key, parseKeys } from './top-keys.ts';
import { describeTop, drawTop } from './top-screen.ts';
import { TopView, type ViewOptions } from './top-view.ts';
import { resolveUri } from './uri-resolve.ts';

interface TopOptions {
  readonly queue?: string;
  readonly color?: ColorOption;
  readonly testExit?: boolean;
  readonly testExitDump?: string;
}

/** `flux top [TARGET]` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand('top', 'Show the jobs of an instance as they run.')
    .argument('[target]', 'which instance, as `flux uri` takes it')
    .option('-q, --queue <NAME>', 'Only jobs of this queue.');
  colorOption(command, '--color')
    .addOption(command.createOption('--test-exit', 'End once everything was shown.').hideHelp())
    .addOption(command.createOption('--test-exit-dump <FILE>', 'Write what was shown to a file.').hideHelp())
    .action(async (target: string | undefined, options: TopOptions) => {
      if (!process.stdin.isTTY) throw new FluxError('ENOTTY', 'stdin is not a terminal');
      if (['', 'dumb', 'unknown'].includes(process.env.TERM ?? ''))
        throw new FluxError('ENOTTY', 'terminal does not support required capabilities');
      await top(target === undefined ? undefined : await resolve(target), options);
    });
  return runCommand(command, args);
}

async function resolve(target: string): Promise<string> {
  return resolveUri(target).catch((error: unknown) => {
    throw new FluxError(asFluxError(error).errno, `failed to resolve target to a Flux URI\n${describe(error)}`);
  });
}

async function top(uri: string | undefined, options: TopOptions): Promise<void> {
  const session = new Session(isColored(options.color));
  await session.start({ uri, queue: options.queue });
  try {
    if (options.testExit) {
      await session.first.shown;
      session.draw();
      if (options.testExitDump !== undefined) {
        const lines = describeTop(session.first.state, Date.now() / 1000);
        fs.writeFileSync(options.testExitDump, `${lines.join('\n')}\n`);
      }
    } else await session.ended;
  } finally {
    await session.stop();
  }
}

/** Milliseconds for which it is shown what went wrong, unless a key is pressed. */
const POPUP_MS = 4000;
/** Milliseconds between two screens when nothing happens: times go on. */
const REDRAW_MS = 1000;

const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';

/** The terminal, and the instances that are looked into, each inside of the one before. */
class Session {
  readonly #isColored: boolean;
  readonly #views: TopView[] = [];
  #frame = '';
  #isDue = false;
  #popupTimer: NodeJS.Timeout | undefined;
  #redrawTimer: NodeJS.Timeout | undefined;
  #end: () => void = () => {};
  #fail: (error: Error) => void = () => {};
  /** Resolves when the user has quit. */
  readonly ended = new Promise<void>((resolve, reject) => {
    this.#end = resolve;
    this.#fail = reject;
  });

  constructor(isColored: boolean) {
    this.#isColored = isColored;
    // Whoever does not wait for the end may still be told why.
    this.ended.catch(() => {});
  }

  /** The instance that was asked for. */
  get first(): TopView {
    return this.#views[0]!;
  }

  get #current(): TopView {
    return this.#views.at(-1)!;
  }

  async start(options: Pick<ViewOptions, 'uri' | 'queue'>): Promise<void> {
    await this.#open({ ...options, lost: this.#fail });
    const { stdin, stdout } = process;
    stdout.write(ENTER);
    stdin.setRawMode(true);
    stdin.on('data', this.#typed).resume();
    stdout.on('resize', this.#redraw);
    for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) process.on(signal, this.#signaled);
    this.#redrawTimer = setInterval(() => this.#changed(), REDRAW_MS);
    this.draw();
  }

  async stop(): Promise<void> {
    const { stdin, stdout } = process;
    clearTimeout(this.#popupTimer);
    clearInterval(this.#redrawTimer);
    stdin.off('data', this.#typed).pause();
    stdin.setRawMode(false);
    stdout.off('resize', this.#redraw);
    for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) process.off(signal, this.#signaled);
    stdout.write(LEAVE);
    await Promise.all(this.#views.splice(0).map((view) => view.close()));
  }

  async #open(options: Omit<ViewOptions, 'changed'>): Promise<void> {
    this.#views.push(await TopView.open({ ...options, changed: () => this.#changed() }));
  }

  // ---- drawing

  /** Many changes at once are one screen. */
  #changed(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      this.draw();
    });
  }

  draw(): void {
    if (this.#views.length === 0) return;
    const canvas = drawTop(this.#current.state, Date.now() / 1000, process.stdout.rows || 24);
    const frame = canvas.encode(this.#isColored);
    if (frame !== this.#frame) process.stdout.write(frame);
    this.#frame = frame;
  }

  readonly #redraw = (): void => {
    this.#frame = '';
    process.stdout.write('\x1b[2J');
    this.#changed();
  };

  // ---- keys and signals

  readonly #signaled = (signal: NodeJS.Signals): void => {
    this.#fail(new Exit(128 + os.constants.signals[signal]));
  };

  readonly #typed = (data: Buffer): void => {
    const text = data.toString();
    if (text.includes(INTERRUPT)) this.#signaled('SIGINT');
    for (const key of parseKeys(text)) {
      if (this.#popupTimer) this.#closePopup();
      else if (key) this.#press(key);
    }
  };

  #press(key: Key): void {
    switch (key) {
      case 'quit':
        this.#leave();
        break;
      case 'enter':
        void this.#descend();
        break;
      case 'redraw':
        this.#redraw();
        break;
      default:
        this.#current.press(key);
    }
  }

  /** Back to the instance outside, or to the end. */
  #leave(): void {
    if (this.#views.length === 1) {
      this.#end();
      return;
    }
    void this.#views.pop()!.close();
    this.#redraw();
  }

  /** Into the instance that the selected job is. */
  async #descend(): Promise<void> {
    const outside = this.#current;
    const job = outside.selectedJob;
    if (job?.uri === undefined) return;
    const title = `${outside.state.title}/${job.encodeId('f58')}`;
    try {
      await this.#open({ uri: job.uri, title, lost: (error) => this.#lost(title, error) });
      this.#redraw();
    } catch (error) {
      this.#popup(asFluxError(error).message);
    }
  }

  /** An instance inside has ended, and with it those inside of it. */
  #lost(title: string, error: FluxError): void {
    const at = this.#views.findIndex((view) => view.state.title === title);
    if (at < 1) return;
    for (const view of this.#views.splice(at)) void view.close();
    this.#redraw();
    this.#popup(error.message);
  }

  #popup(text: string): void {
    this.#current.tell(text);
    clearTimeout(this.#popupTimer);
    this.#popupTimer = setTimeout(() => this.#closePopup(), POPUP_MS);
  }

  #closePopup(): void {
    clearTimeout(this.#popupTimer);
    this.#popupTimer = undefined;
    this.#current.tell(undefined);
  }
}
