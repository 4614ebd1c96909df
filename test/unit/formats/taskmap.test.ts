// Task maps against the recorded vectors, and their queries against a plain list of who runs what.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FluxError, strerror } from '../../../core/errno.ts';
import { parseFluid } from '../../../core/formats/fluid.ts';
import { TaskMap, type TaskMapForm } from '../../../core/formats/taskmap.ts';
import { cpuSeconds } from '../../cpu-time.ts';
import { golden } from '../../golden.ts';

type Output = string | { readonly error: string; readonly exit: number };

interface Vectors {
  readonly convert: readonly {
    readonly in: string;
    readonly raw?: Output;
    readonly pmi: Output;
    readonly multiline?: Output;
    readonly flux: Output;
  }[];
  readonly query: readonly {
    readonly map: string;
    readonly query: string;
    readonly stdout: string;
    readonly stderr: string;
    readonly exit: number;
  }[];
}

const vectors = golden<Vectors>('vectors/taskmap.json');

const isEinval = (error: unknown) => error instanceof FluxError && error.code === 'EINVAL' && !!error.detail;

test('conversion vectors', async (t) => {
  for (const row of vectors.convert) {
    await t.test(JSON.stringify(row.in), () => {
      assert.deepEqual(convert(row.in, 'blocks'), row.flux);
      assert.deepEqual(convert(row.in, 'pmi'), row.pmi);
      if (row.raw !== undefined) assert.deepEqual(convert(row.in, 'raw'), row.raw);
      if (row.multiline !== undefined) assert.deepEqual(convert(row.in, 'multiline'), row.multiline);
    });
  }
});

/** What `flux job taskmap --to=FORM` prints without a broker, where a text that is a job id cannot be looked up. */
function convert(text: string, form: TaskMapForm): Output {
  if (isJobId(text)) return { error: 'flux-job: flux_open: No such file or directory', exit: 1 };
  try {
    return TaskMap.parse(text).encode(form);
  } catch (error) {
    assert.ok(isEinval(error));
    return { error: `flux-job: error decoding taskmap: ${(error as FluxError).detail}`, exit: 1 };
  }
}

function isJobId(text: string): boolean {
  try {
    parseFluid(text);
    return true;
  } catch {
    return false;
  }
}

test('query vectors', async (t) => {
  for (const { map, query, ...expected } of vectors.query) {
    await t.test(`${map} ${query}`, () => assert.deepEqual(ask(TaskMap.parse(map), query), expected));
  }
});

function ask(map: TaskMap, query: string): { stdout: string; stderr: string; exit: number } {
  const [option, value] = query.split('=');
  const id = Number(value);
  const queries: Record<string, [what: string, answer: () => string | number]> = {
    '--taskids': [`No taskids for node ${id}`, () => map.taskids(id).encode()],
    '--ntasks': [`failed to get task count for node ${id}`, () => map.taskids(id).count],
    '--nodeid': [`failed to get nodeid for task ${id}`, () => map.nodeid(id)],
  };
  const [what, answer] = queries[option!]!;
  try {
    return { stdout: `${answer()}`, stderr: '', exit: 0 };
  } catch (error) {
    assert.ok(error instanceof FluxError);
    return { stdout: '', stderr: `flux-job: ${what}: ${strerror(error.errno)}`, exit: 1 };
  }
}

test('errors say what is wrong', () => {
  const rows: [string, string][] = [
    ['[[0,1,1,"x"]]', 'error in taskmap entry: Expected integer, got string'],
    ['[[0,1,1,1.5]]', 'error in taskmap entry: Expected integer, got real'],
    ['[[0,1,1,null]]', 'error in taskmap entry: Expected integer, got null'],
    ['{"version":"1"}', 'Expected integer, got string'],
    ['{"version":1}', 'Object item not found: map'],
    ['{"version":1,"map":3}', 'taskmap must be an array'],
    ['"x[]"', 'taskmap must be an object or array'],
    ['[1 2]', "']' expected near '2'"],
    ['(vector,(0,1,a))', 'unable to parse block: (0,1,a))'],
    ['(vector,(-1,1,1))', 'invalid number in block: (-1,1,1))'],
    ['xvector,(0,1,1)', 'vector prefix must precede blocklist'],
    ['0-1;1', 'duplicate taskid specified: 1'],
    ['1;3', 'missing taskid: 0'],
    ['0-5;9;12', 'missing taskids: 6-8'],
    ['0,0', "range '0' is out of order"],
    ['[[0,1,16777217,1]]', 'taskmap has more than 16777216 tasks or nodes'],
    ['[[16777216,1,1,1]]', 'taskmap has more than 16777216 tasks or nodes'],
  ];
  for (const [text, detail] of rows) assert.throws(() => TaskMap.parse(text), { code: 'EINVAL', detail });
});

test('a map may leave out a node, but its raw form cannot', () => {
  const map = TaskMap.parse('[[1,1,2,1]]');
  assert.equal(map.encode('pmi'), '(vector,(1,1,2))');
  assert.equal(map.nodeCount, 2);
  assert.throws(() => map.taskids(0), { code: 'ENOENT' });
  assert.throws(() => map.encode('raw'), { code: 'ENOENT' });
});

test('a wrapped map', () => {
  assert.equal(TaskMap.parse('[[0,4,4,1]]').encode('wrapped'), '{"version":1,"map":[[0,4,4,1]]}');
  assert.deepEqual(TaskMap.fromJson({ version: 1, map: [[0, 4, 4, 1]] }).toJson(), [[0, 4, 4, 1]]);
});

/** Nodes in task order, no node left out. */
const layouts = fc.array(fc.record({ nodeid: fc.nat(4), ppn: fc.integer({ min: 1, max: 3 }) })).map((runs) => {
  const used = [...new Set(runs.map((run) => run.nodeid))];
  return runs.map(({ nodeid, ppn }) => ({ nodeid: used.indexOf(nodeid), ppn }));
});

test('queries agree with a list of nodes by task, in every form', () => {
  fc.assert(
    fc.property(layouts, (runs) => {
      const nodes = runs.flatMap(({ nodeid, ppn }) => new Array<number>(ppn).fill(nodeid));
      const map = TaskMap.of(runs.map(({ nodeid, ppn }) => ({ nodeid, nnodes: 1, ppn })));
      assert.equal(map.taskCount, nodes.length);
      assert.equal(map.nodeCount, nodes.length ? Math.max(...nodes) + 1 : 0);
      for (const [taskid, nodeid] of nodes.entries()) assert.equal(map.nodeid(taskid), nodeid);
      for (const nodeid of new Set(nodes)) {
        const expected = [...nodes.keys()].filter((taskid) => nodes[taskid] === nodeid);
        assert.deepEqual([...map.taskids(nodeid)], expected);
      }
      for (const form of ['blocks', 'wrapped', 'raw', 'pmi'] as const) {
        assert.equal(TaskMap.parse(map.encode(form)).encode('multiline'), map.encode('multiline'), form);
      }
    }),
  );
});

test('any blocks read back', () => {
  const count = fc.integer({ min: 1, max: 40 });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(40), count, count, count)), (blocks) => {
      const map = TaskMap.parse(JSON.stringify(blocks));
      assert.deepEqual(map.toJson(), blocks);
      if (map.isUnknown) return;
      const last = map.taskCount - 1;
      assert.ok(map.taskids(map.nodeid(last)).has(last));
      assert.throws(() => map.nodeid(last + 1), { code: 'ENOENT' });
      assert.throws(() => map.nodeid(-1), { code: 'ENOENT' });
    }),
  );
});

test('any text is a map or EINVAL', () => {
  const scraps = fc.string({
    unit: fc.constantFrom(...'0123,;-[](){}":', 'vector,', '"version"', '"map"', '[0,1,1,1]'),
  });
  fc.assert(
    fc.property(fc.oneof(scraps, fc.json(), fc.string({ unit: 'binary' })), (text) => {
      try {
        TaskMap.parse(text);
      } catch (error) {
        assert.ok(isEinval(error), String(error));
      }
    }),
    { numRuns: 1000 },
  );
});

test('a map of a million tasks is asked at once', () => {
  const seconds = cpuSeconds(() => {
    const cyclic = TaskMap.parse('[[0,4096,1,256]]');
    assert.equal(cyclic.taskids(4095).last, 2 ** 20 - 1);
    assert.equal(TaskMap.parse(cyclic.encode('raw')).encode(), '[[0,4096,1,256]]');
  });
  assert.ok(seconds < 10, `${seconds} s`);
});
