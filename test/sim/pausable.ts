/** A process that can stand still: what is to happen in it happens once it goes on, and never when it is gone. */
export abstract class Pausable {
  readonly #paused: (() => void)[] = [];
  #isPaused = false;

  protected abstract get isGone(): boolean;

  /** Does something here: now, or once the process goes on. */
  run(action: () => void): void {
    if (this.isGone) return;
    if (this.#isPaused) this.#paused.push(action);
    else action();
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    while (!this.#isPaused && this.#paused.length) this.run(this.#paused.shift()!);
  }
}
