/**
 * The plugin `mpir`: which processes the tasks are, for debuggers and `flux job hostpids`. The leader gathers the tables of
 * all shells and packs them: names as prefixes with numbers behind them, and numbers as ranges.
 */

import type { JsonObject, JsonValue } from '../../../core/json.ts';
import { isObject, unpack } from '../../../core/message/unpack.ts';
import type { Shell, ShellPlugin } from '../plugin.ts';

const METHOD = 'proctable';
/** What asks a shell for its own table. */
const LOCAL_METHOD = 'local-proctable';

interface Row {
  readonly host: string;
  readonly executable: string;
  readonly id: number;
  readonly pid: number;
  readonly rank: number;
}

export const proctablePlugin: ShellPlugin = {
  name: 'mpir',
  load: (shell) => ({
    'shell.init'() {
      shell.register(LOCAL_METHOD, { handler: () => ({ rows: ownRows(shell).map((row) => ({ ...row })) }) });
      if (shell.isLeader) shell.register(METHOD, { handler: async () => pack(await gather(shell)) });
    },
  }),
};

function ownRows(shell: Shell): Row[] {
  const { hostname, brokerRank } = shell.node;
  return shell.tasks.flatMap(({ rank, spec, process }) =>
    process ? [{ host: hostname, executable: spec.argv[0]!, id: rank, pid: process.pid, rank: brokerRank }] : [],
  );
}

async function gather(shell: Shell): Promise<Row[]> {
  const others = Array.from({ length: shell.size - 1 }, async (_, index) => {
    const answer = await shell.rpc(index + 1, LOCAL_METHOD);
    const { rows } = unpack(answer, { rows: 'a' });
    return rows
      .filter(isObject)
      .map((row) => unpack(row, { host: 's', executable: 's', id: 'i', pid: 'i', rank: 'i' }));
  });
  const tables = [ownRows(shell), ...(await Promise.all(others))];
  return tables.sort((a, b) => (a[0]?.id ?? 0) - (b[0]?.id ?? 0)).flat();
}

function pack(rows: readonly Row[]): JsonObject {
  return {
    hosts: packNames(rows.map(({ host }) => host)),
    executables: packNames(rows.map(({ executable }) => executable)),
    ids: packNumbers(rows.map(({ id }) => id)),
    pids: packNumbers(rows.map(({ pid }) => pid)),
    ranks: packNumbers(rows.map(({ rank }) => rank)),
  };
}

/**
 * Numbers, each as its distance from the one before: `[N, R]` stands for N and the R numbers behind it, for a negative R for N
 * that often again.
 */
export function packNumbers(numbers: readonly number[]): JsonValue[] {
  const packed: JsonValue[] = [];
  let last = 0;
  for (let i = 0; i < numbers.length; ) {
    const start = numbers[i]!;
    const step = numbers[i + 1] === start ? 0 : 1;
    let count = 1;
    while (numbers[i + count] === start + count * step) count++;
    const distance = start - last;
    packed.push(count === 1 ? distance : [distance, step === 0 ? 1 - count : count - 1]);
    last = start + (count - 1) * step;
    i += count;
  }
  return packed;
}

/** Names: one alone as it is, several with a common prefix as `[PREFIX, numbers]`, where -1 is no number. */
export function packNames(names: readonly string[]): JsonValue[] {
  const groups: { prefix: string; first: string; numbers: number[] }[] = [];
  for (const name of names) {
    const { prefix, number } = split(name);
    const group = groups.at(-1);
    if (group?.prefix === prefix) group.numbers.push(number);
    else groups.push({ prefix, first: name, numbers: [number] });
  }
  return groups.map(({ prefix, first, numbers }) => (numbers.length === 1 ? first : [prefix, packNumbers(numbers)]));
}

/** A name's number at its end, unless it has zeros before it or is too long to be one. */
function split(name: string): { prefix: string; number: number } {
  const [, prefix, digits] = /^(.*?)(0|[1-9]\d{0,8})?$/s.exec(name) ?? [];
  return digits === undefined || /\d$/.test(prefix!)
    ? { prefix: name, number: -1 }
    : { prefix: prefix!, number: Number(digits) };
}
