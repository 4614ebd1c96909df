/** What `flux top` shows of an instance: a summary, and below it the jobs that run. */

import { formatDuration } from '../core/formats/duration.ts';
import type { JobStats } from './job-stats.ts';
import type { JobInfo } from './listed-job.ts';
import { Canvas, type Look } from './top-canvas.ts';

/** Resources of one kind. */
export interface ResourceCount {
  readonly total: number;
  readonly used: number;
  readonly down: number;
}

export interface TopState {
  /** The path of the job ids of the instances from the first one shown to this one. */
  readonly title: string;
  readonly level: number;
  readonly size: number;
  readonly version: string;
  /** Seconds since the epoch. */
  readonly starttime: number;
  /** Seconds since the epoch; 0: it has no end. */
  readonly expiration: number;
  /** Whether inactive jobs are told apart by how they ended. */
  readonly hasDetails: boolean;
  readonly stats: JobStats | undefined;
  readonly resources: Readonly<Record<'nodes' | 'cores' | 'gpus', ResourceCount>>;
  /** The jobs that run; undefined: they are not known yet. */
  readonly jobs: readonly JobInfo[] | undefined;
  readonly selected: bigint | undefined;
  /** The queue that is shown alone. */
  readonly queue: string | undefined;
  readonly hasQueues: boolean;
  /** Whether a heartbeat was just now. */
  readonly beats: boolean;
  /** What went wrong, in front of all else until a key is pressed. */
  readonly popup: string | undefined;
}

export const SCREEN_COLUMNS = 80;
const SUMMARY_ROWS = 6;
/** Job ids, and the sign in front of them, where there is only ASCII. */
const isAscii = Boolean(process.env.FLUX_F58_FORCE_ASCII);

/**
 * Draws it.
 *
 * @param now seconds since the epoch
 */
export function drawTop(state: TopState, now: number, rows: number): Canvas {
  const canvas = new Canvas(rows, SCREEN_COLUMNS);
  drawHead(canvas, state, now);
  drawResources(canvas, state);
  drawStats(canvas, state);
  drawInfo(canvas, state, now);
  drawJobs(canvas, state, now);
  if (state.popup !== undefined) drawPopup(canvas, state.popup);
  return canvas;
}

/** The job list has so many rows, its header not counted. */
export function jobRows(rows: number): number {
  return Math.max(rows - SUMMARY_ROWS - 1, 0);
}

// ---- the summary

const TITLE = { column: 6, width: 63 } as const;
const TIME_LEFT = { column: 70, width: 8 } as const;

function drawHead(canvas: Canvas, { title, expiration }: TopState, now: number): void {
  canvas.put(0, 0, isAscii ? 'f' : 'ƒ', 'yellow');
  const { column, width } = TITLE;
  const letters = [...title];
  const shown = letters.length > width ? `…${letters.slice(1 - width).join('')}` : title;
  canvas.put(0, column + Math.floor((width - [...shown].length) / 2), shown, 'blue', 'bold');
  const left = expiration - now;
  const time = left > 0 ? formatDuration(left, 2) : '';
  canvas.put(0, TIME_LEFT.column, time.padStart(TIME_LEFT.width) + (left > 0 ? '⌚' : '∞'));
}

const BAR = { row: 1, column: 4, width: 36 } as const;

function drawResources(canvas: Canvas, { resources }: TopState): void {
  for (const [index, [name, { total, used, down }]] of Object.entries(resources).entries()) {
    const row = BAR.row + index;
    const shownUsed = Math.min(used, total);
    const prefix = `${name.padStart(5)} [`;
    const suffix = `${shownUsed}/${total}]`;
    const slots = Math.max(BAR.width - prefix.length - suffix.length - 1, 0);
    const begin = BAR.column + prefix.length;
    const length = (count: number) => (total ? Math.min(Math.ceil((count / total) * slots), slots) : 0);
    canvas.put(row, BAR.column, prefix);
    canvas.put(row, begin + slots, suffix);
    canvas.put(row, begin, '|'.repeat(length(shownUsed)), 'yellow');
    canvas.put(row, begin + slots - length(down), '|'.repeat(length(down)), 'red');
  }
}

const STATS = { row: 1, column: 60 } as const;
const HEART = { row: 3, column: 77 } as const;

function drawStats(canvas: Canvas, { stats, hasDetails, beats }: TopState): void {
  const { pending = 0, running = 0, successful = 0, failed = 0, inactive = 0 } = stats ?? {};
  const { row, column } = STATS;
  const count = (number: number, width = 5) => String(number).padStart(width);
  canvas.put(row, column, `${count(pending)} pending`);
  canvas.put(row + 1, column, `${count(running)} running`);
  if (hasDetails) {
    const look = (number: number, color: Look): Look[] => (number ? [color, 'bold'] : []);
    canvas.put(row + 2, column - 18, count(successful, 6), ...look(successful, 'green'));
    canvas.put(row + 2, column - 12, ' complete, ');
    canvas.put(row + 2, column - 1, count(failed, 6), ...look(failed, 'red'));
    canvas.put(row + 2, column + 5, ' failed');
  } else canvas.put(row + 2, column, `${count(inactive)} inactive`);
  if (beats) canvas.put(HEART.row, HEART.column, '♡');
}

const INFO = { row: 5, column: 1, width: 78 } as const;

function drawInfo(canvas: Canvas, { size, level, starttime, version }: TopState, now: number): void {
  const { row, column, width } = INFO;
  canvas.put(row, column, `size: ${size}`, 'dim');
  if (level) canvas.put(row, column + 10, `depth: ${level}`, 'dim');
  canvas.put(row, column + 30, `uptime: ${formatDuration(Math.abs(now - starttime), 2)}`, 'dim');
  canvas.put(row, column + width - version.length, version, 'dim');
}

// ---- the jobs

interface JobColumn {
  readonly heading: string;
  readonly width: number;
  readonly alignsLeft?: boolean;
  readonly value: (job: JobInfo, now: number) => string;
}

const queueColumn: JobColumn = { heading: 'QUEUE', width: 8, value: ({ raw }) => String(raw.queue ?? '') };

/** Without the queue; what is left of the row is the name. */
const jobColumns: readonly JobColumn[] = [
  { heading: 'JOBID', width: 12, value: (job) => job.encodeId(isAscii ? 'f58plain' : 'f58') },
  { heading: 'USER', width: 8, value: (job) => job.userName },
  { heading: 'ST', width: 2, value: (job) => job.state.abbreviation },
  { heading: 'NTASKS', width: 6, value: ({ raw }) => String(raw.ntasks) },
  { heading: 'NNODES', width: 6, value: ({ raw }) => String(raw.nnodes) },
  { heading: 'RUNTIME', width: 7, value: (job, now) => formatDuration(Math.abs(now - job.number('t_run')), 2) },
];

function columnsOf(hasQueues: boolean): readonly JobColumn[] {
  const [id, ...rest] = jobColumns;
  const columns = hasQueues ? [id!, queueColumn, ...rest] : jobColumns;
  const used = columns.reduce((sum, { width }) => sum + width + 1, 0);
  return [
    ...columns,
    { heading: 'NAME', width: SCREEN_COLUMNS - used, alignsLeft: true, value: ({ raw }) => String(raw.name) },
  ];
}

/** A job in CLEANUP may never have run. */
function isShowable({ raw }: JobInfo): boolean {
  return raw.t_run !== undefined && raw.nnodes !== undefined && raw.ntasks !== undefined && raw.name !== undefined;
}

function drawJobs(canvas: Canvas, state: TopState, now: number): void {
  const columns = columnsOf(state.hasQueues);
  const line = (textOf: (column: JobColumn) => string) =>
    columns
      .map((column) => {
        const text = [...textOf(column)].slice(0, column.width).join('');
        return column.alignsLeft ? text.padEnd(column.width) : text.padStart(column.width);
      })
      .join(' ');
  canvas.put(
    SUMMARY_ROWS,
    0,
    line(({ heading }) => heading),
    'reverse',
  );
  if (state.jobs?.length === 0 && state.queue !== undefined)
    canvas.put(SUMMARY_ROWS + 5, 25, `No jobs to display in queue ${state.queue}`);
  for (const [index, job] of (state.jobs ?? []).filter(isShowable).entries()) {
    const looks: Look[] = job.id.value === state.selected ? ['reverse'] : [];
    if (job.uri !== undefined) looks.push('blue', 'bold');
    canvas.put(
      SUMMARY_ROWS + 1 + index,
      0,
      line(({ value }) => value(job, now)),
      ...looks,
    );
  }
}

// ---- what went wrong

const POPUP = { row: 15, column: 2, width: 78, height: 6 } as const;

function drawPopup(canvas: Canvas, text: string): void {
  const { row, column, width, height } = POPUP;
  const inside = width - 4;
  const lines = text.split('\n').flatMap((line) => line.match(new RegExp(`.{1,${inside}}`, 'gu')) ?? ['']);
  const edge = '─'.repeat(width - 2);
  canvas.put(row, column, `┌${edge}┐`);
  for (let each = 1; each < height - 1; each++) {
    const line = each > 1 ? (lines[each - 2] ?? '') : '';
    canvas.put(row + each, column, `│ ${line.padEnd(inside)} │`);
  }
  canvas.put(row + height - 1, column, `└${edge}┘`);
}

// ---- for tests

/** What it shows as plain lines: counts, resources, jobs. */
export function describeTop(state: TopState, now: number): string[] {
  const { pending = 0, running = 0, successful = 0, failed = 0, inactive = 0 } = state.stats ?? {};
  const ended = state.hasDetails ? [`${successful} complete`, `${failed} failed`] : [`${inactive} inactive`];
  const resources = Object.entries(state.resources).map(([name, { used, total }]) => `${name} ${used}/${total}`);
  const columns = columnsOf(state.hasQueues);
  const jobs = (state.jobs ?? [])
    .filter(isShowable)
    .map((job) => columns.map(({ value }) => value(job, now)).join(' '));
  return [`${pending} pending`, `${running} running`, ...ended, ...resources, ...jobs];
}
