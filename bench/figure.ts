/** What a benchmark measured, and how it is shown. */

export interface Figure {
  /** Stable: figures of different runs are compared by it. */
  readonly name: string;
  readonly unit: string;
  readonly better: 'less' | 'more';
  readonly median: number;
  /** The worst but one in a hundred; absent where the samples are too few to say. */
  readonly p99?: number;
  readonly samples: number;
}

/** Samples below which a 99th percentile says nothing. */
const P99_SAMPLES_MIN = 20;

/** A figure of samples, which are sorted in place. */
export function figure(name: string, unit: string, better: Figure['better'], samples: number[]): Figure {
  samples.sort((a, b) => (better === 'less' ? a - b : b - a));
  const at = (part: number) => samples[Math.min(samples.length - 1, Math.floor(samples.length * part))]!;
  return {
    name,
    unit,
    better,
    median: at(0.5),
    ...(samples.length >= P99_SAMPLES_MIN && { p99: at(0.99) }),
    samples: samples.length,
  };
}

/** Three significant digits, thousands apart. */
function digits(value: number | undefined): string {
  if (value === undefined) return '';
  return value.toLocaleString('en', { maximumSignificantDigits: 3 });
}

/**
 * Figures as a table; with a peer's beside them, and how many times better ours are.
 *
 * @param peers figures of another broker, by name
 */
export function formatTable(figures: readonly Figure[], peers: ReadonlyMap<string, Figure> = new Map()): string {
  const head = ['benchmark', 'median', 'p99', 'unit', ...(peers.size ? ['peer', 'times better'] : [])];
  const rows = figures.map((each) => {
    const row = [each.name, digits(each.median), digits(each.p99), each.unit];
    if (!peers.size) return row;
    const peer = peers.get(each.name);
    if (!peer) return [...row, '', ''];
    const times = each.better === 'less' ? peer.median / each.median : each.median / peer.median;
    return [...row, digits(peer.median), digits(times)];
  });
  const table = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  const isText = (column: number) => head[column] === 'benchmark' || head[column] === 'unit';
  return table
    .map((row) =>
      row
        .map((cell, column) => (isText(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
