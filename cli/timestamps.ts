/** Points in time as commands print them: local time. */

const twoDigits = (value: number) => String(value).padStart(2, '0');
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `2026-11-21T11:31:24.681` of seconds since the epoch. */
export function formatLocal(seconds: number, decimals: number): string {
  const date = new Date(Math.floor(seconds) * 1000);
  const day = `${date.getFullYear()}-${twoDigits(date.getMonth() + 1)}-${twoDigits(date.getDate())}`;
  const fraction = Math.min(10 ** decimals - 1, Math.round((seconds - Math.floor(seconds)) * 10 ** decimals));
  return `${day}T${formatTimeOfDay(date)}${decimals ? `.${String(fraction).padStart(decimals, '0')}` : ''}`;
}

/** `11:31:24` */
export function formatTimeOfDay(date: Date): string {
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits).join(':');
}

/** `+01:00`: how far local time is ahead of UTC at a point in time; `Z` when it is not. */
export function formatOffset(seconds: number): string {
  const minutes = -new Date(seconds * 1000).getTimezoneOffset();
  if (minutes === 0) return 'Z';
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${twoDigits(Math.floor(size / 60))}:${twoDigits(size % 60)}`;
}

/**
 * The times of a list as people read them: `Nov21 11:31` where a minute begins, and behind it how many seconds passed
 * since, or, with `delta`, since the entry before.
 */
export class MinuteTimestamps {
  readonly #delta: boolean;
  #minute = Number.NaN;
  #base = 0;

  constructor(delta: boolean) {
    this.#delta = delta;
  }

  /** The next one; `isBreak` when it begins a minute. */
  next(seconds: number): { readonly text: string; readonly isBreak: boolean } {
    const minute = Math.floor(seconds / 60);
    const isBreak = minute !== this.#minute;
    const passed = seconds - this.#base;
    if (isBreak || this.#delta) this.#base = seconds;
    this.#minute = minute;
    const date = new Date(seconds * 1000);
    const text = isBreak
      ? `${months[date.getMonth()]}${twoDigits(date.getDate())} ${formatTimeOfDay(date).slice(0, 5)}`
      : `${passed < 0 ? '-' : '+'}${Math.abs(passed).toFixed(6)}`.padStart(11);
    return { text, isBreak };
  }
}
