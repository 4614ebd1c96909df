// Resource sets against recorded command lines of `flux R`, and their algebra against plain sets of resources.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { FluxError, strerror } from '../../../core/errno.ts';
import { compileConstraint } from '../../../core/formats/constraint.ts';
import { Hostlist } from '../../../core/formats/hostlist.ts';
import { IdSet } from '../../../core/formats/idset.ts';
import { parseJson, parseJsonSequence } from '../../../core/formats/jansson.ts';
import { resourceSetFromConfig } from '../../../core/formats/resource-config.ts';
import {
  encodeResourceSet,
  parseResourceSet,
  resourceSetFromJson,
  resourceSetToJson,
} from '../../../core/formats/resource-json.ts';
import { resourcesOf } from '../../../core/formats/resource-node.ts';
import { propertiesOf, withProperties } from '../../../core/formats/resource-properties.ts';
import { ResourceSet } from '../../../core/formats/resource-set.ts';
import { verifyResources } from '../../../core/formats/resource-verify.ts';
import { stringifyJson } from '../../../core/json.ts';
import { cpuSeconds } from '../../cpu-time.ts';
import { golden } from '../../golden.ts';

interface Case {
  readonly argv: readonly string[];
  readonly stdin?: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: number;
}

const vectors = golden<{ readonly cases: readonly Case[] }>('vectors/R.json');

const isFluxError = (error: unknown) => error instanceof FluxError && !!error.detail;

test('vectors', async (t) => {
  for (const [row, { argv, stdin, ...expected }] of vectors.cases.entries()) {
    const [, , command, ...args] = argv;
    await t.test(`${row}: ${argv.slice(2).join(' ')}`, () => {
      assert.deepEqual(fluxR(command!, args, stdin ?? ''), expected);
    });
  }
});

type Output = { stdout: string; stderr: string; exit: number };

/** What `flux R` does with the vectors' options. */
function fluxR(command: string, args: string[], stdin: string): Output {
  try {
    return commands[command]!(args, stdin);
  } catch (error) {
    assert.ok(error instanceof FluxError, String(error));
    return { stdout: '', stderr: `flux-R: ${error.message}\n`, exit: 1 };
  }
}

function print(...lines: readonly string[]): Output {
  return { stdout: lines.map((line) => `${line}\n`).join(''), stderr: '', exit: 0 };
}

function fail(sentence: string, cause?: unknown): never {
  throw new FluxError('EINVAL', sentence, { cause });
}

const commands: Record<string, (args: string[], stdin: string) => Output> = {
  encode: (args) => print(encodeResourceSet(encode(args))),
  append: (_, stdin) => print(encodeResourceSet(readAll(stdin).reduce(appendDisjoint, ResourceSet.empty))),
  diff: (_, stdin) => print(encodeResourceSet(readAll(stdin).reduce((a, b) => a.diff(b)))),
  intersect: (_, stdin) => print(encodeResourceSet(readAll(stdin).reduce((a, b) => a.intersect(b)))),
  remap: (_, stdin) => print(encodeResourceSet(readUnion(stdin).remap())),
  rerank: ([hosts], stdin) => print(encodeResourceSet(rerank(readUnion(stdin), Hostlist.parse(hosts!)))),
  decode: (args, stdin) => print(...decode(args, readUnion(stdin))),
  verify: (_, stdin) => {
    const [expected, actual] = readAll(stdin);
    const { verdict, text } = verifyResources(expected!, actual!);
    return { stdout: '', stderr: text && `flux-R: ${text}\n`, exit: verdict === 'mismatch' ? 1 : 0 };
  },
  'set-property': (args, stdin) => print(encodeResourceSet(assign(readUnion(stdin), args))),
  'parse-config': () =>
    print(
      encodeResourceSet(
        resourceSetFromConfig([
          { hosts: 'test[1-10]', cores: '0-7', gpus: '0' },
          { hosts: 'test[5-6]', properties: ['big'] },
        ]),
      ),
    ),
};

function readAll(stdin: string): ResourceSet[] {
  let values: unknown[];
  try {
    values = parseJsonSequence(stdin);
  } catch (error) {
    fail(`Failed to read an R object: ${(error as Error).message}`);
  }
  return values.map((value) => {
    try {
      return resourceSetFromJson(value);
    } catch (error) {
      const { message, cause } = error as Error;
      return fail(`Failed to decode R on stdin: ${cause ? '' : message}`);
    }
  });
}

function readUnion(stdin: string): ResourceSet {
  return readAll(stdin).reduce((a, b) => a.union(b));
}

function encode(args: string[]): ResourceSet {
  const { values } = parseArgs({
    args,
    options: {
      ranks: { type: 'string', short: 'r' },
      cores: { type: 'string', short: 'c', default: '0' },
      gpus: { type: 'string', short: 'g', default: '' },
      hosts: { type: 'string', short: 'H', default: '' },
      property: { type: 'string', short: 'p', multiple: true },
    },
  });
  const ranks = idsetOr(values.ranks!, `Failed to decode ranks='${values.ranks}' as idset`);
  const hosts = Hostlist.parse(values.hosts);
  if (hosts.count !== ranks.count) {
    fail(`hostname count in '${values.hosts}' does not match nranks (${ranks.count})`);
  }
  const cores = idsetOr(values.cores, `rlist_append rank=${ranks.first}: ${strerror(22)}`);
  const ids = [['core', cores] as const];
  const resources = resourcesOf(values.gpus ? [...ids, ['gpu', IdSet.parse(values.gpus)]] : ids);
  return assign(ResourceSet.uniform(ranks, hosts, resources), values.property ?? []);
}

function idsetOr(text: string, sentence: string): IdSet {
  try {
    return IdSet.parse(text);
  } catch {
    return fail(sentence);
  }
}

function assign(set: ResourceSet, args: readonly string[]): ResourceSet {
  const properties = args.map((arg): [string, string] => {
    const [name, ranks = set.ranks.encode()] = arg.split(':');
    return [name!, ranks];
  });
  try {
    return withProperties(set, new Map(properties));
  } catch (error) {
    return fail(`failed to assign properties: ${(error as Error).message}`);
  }
}

function appendDisjoint(a: ResourceSet, b: ResourceSet): ResourceSet {
  if (a.intersect(b).nodes.length) fail(`R objects '${a.describe()}' and '${b.describe()}' overlap`);
  return a.append(b);
}

function rerank(set: ResourceSet, hosts: Hostlist): ResourceSet {
  try {
    return set.rerank(hosts);
  } catch (error) {
    const { code } = error as FluxError;
    if (code === 'ENOSPC') fail(`Too few hosts specified (expected ${set.nodes.length})`);
    if (code === 'EOVERFLOW') fail(`Too many hosts specified (expected ${set.nodes.length})`);
    return fail('failed to find one or more provided hosts in R');
  }
}

function decode(args: string[], union: ResourceSet): string[] {
  const { values } = parseArgs({
    args,
    options: {
      short: { type: 'boolean', short: 's' },
      nodelist: { type: 'boolean', short: 'n' },
      ranks: { type: 'boolean', short: 'r' },
      count: { type: 'string', short: 'c' },
      include: { type: 'string', short: 'i' },
      exclude: { type: 'string', short: 'x' },
      properties: { type: 'string', short: 'p' },
    },
  });
  let set = union;
  if (values.properties) set = set.filter(compileConstraint({ properties: values.properties.split(',') }));
  if (values.include) set = set.select(IdSet.parse(values.include));
  if (values.exclude) set = set.exclude(IdSet.parse(values.exclude));
  const lines: string[] = [];
  if (values.short) lines.push(set.describe());
  if (values.nodelist) lines.push(set.nodelist!.encode());
  if (values.ranks) lines.push(set.ranks.encode());
  if (values.count) lines.push(`${values.count === 'node' ? set.nodes.length : set.count(values.count)}`);
  return lines.length ? lines : [encodeResourceSet(set)];
}

test('what Flux has a sentence for is said so, the rest says where and why', () => {
  const rows: [string, string, boolean][] = [
    ['[]', 'Expected object, got array', false],
    ['{"version":"1"}', 'Expected integer, got string', false],
    ['{"version":1,"execution":[]}', 'Expected object, got array', false],
    ['{"version":1,"execution":{}}', 'Object item not found: R_lite', false],
    ['{"version":1,"execution":{"R_lite":[{"rank":1}]}}', 'Expected string, got integer', false],
    ['{"version":1,"execution":{"R_lite":[{"rank":"1"}]}}', 'Object item not found: children', false],
    ['{"version":1,"execution":{"R_lite":[],"starttime":"a"}}', 'Expected real or integer, got string', false],
    ['{"version":3,"execution":{"R_lite":[]}}', 'invalid version=3', false],
    ['{"version":1,"execution":{"R_lite":[],"properties":{"a^":""}}}', `invalid character '^' in property "a^"`, false],
    [
      '{"version":1,"execution":{"R_lite":[],"properties":{"a":"7-8"}}}',
      'ranks 7-8 not found in target resource list',
      false,
    ],
    ['{"version":1,"execution":{"R_lite":[],"properties":{"a":7}}}', "properties values '7' not a string", false],
    ['{"version":1,"execution":{"R_lite":[{"rank":"x","children":{}}]}}', "rank x: error parsing range 'x'", true],
    [
      '{"version":1,"execution":{"R_lite":[{"rank":"1","children":{"core":"x"}}]}}',
      "rank 1: error parsing range 'x'",
      true,
    ],
    ['{"version":1,"execution":{"R_lite":[],"nodelist":["a"]}}', 'nodelist: nodelist has 1 hosts for 0 ranks', true],
    [
      '{"version":1,"execution":{"R_lite":[{"rank":"0-2147483647","children":{}}]}}',
      'rank 0-2147483647: more than 1048576 ranks',
      true,
    ],
    [
      '{"version":1,"execution":{"R_lite":[{"rank":"1","children":{"core":"1"}},{"rank":"1","children":{"core":"0-1"}}]}}',
      'rank 1: core1 is there already',
      true,
    ],
  ];
  for (const [text, sentence, ours] of rows) {
    assert.throws(
      () => parseResourceSet(text),
      (error) => {
        assert.ok(error instanceof FluxError);
        assert.equal(error.detail, sentence);
        assert.equal(error.cause !== undefined, ours);
        return true;
      },
    );
  }
});

test('times, slots and scheduling data are read, and kept where documented', () => {
  const text =
    '{"version": 1, "execution": {"R_lite": [{"rank": "0-1", "children": {"core": "0-3"}}], "nslots": 4, ' +
    '"starttime": 0.10000000000000001, "expiration": 1717171717.123456, "nodelist": ["h[0-1]"]}, ' +
    '"scheduling": {"graph": {"nodes": [1, 2.5, null]}}}';
  const set = parseResourceSet(text);
  assert.equal(encodeResourceSet(set), text);
  assert.equal(set.nslots, 4);
  assert.deepEqual(parseJson(stringifyJson(resourceSetToJson(set))), parseJson(text));
  const kept = { expiration: 1717171717.123456, scheduling: set.scheduling };
  const details = ({ expiration, scheduling }: ResourceSet) => ({ expiration, scheduling });
  for (const same of [set.remap(), set.exclude(IdSet.parse('0')), withProperties(set, [['p', '1']])]) {
    assert.deepEqual(details(same), kept);
  }
  for (const other of [set.select(IdSet.parse('1')), set.diff(ResourceSet.empty), set.intersect(set)]) {
    assert.deepEqual(details(other), { expiration: 0, scheduling: set.scheduling });
  }
  assert.deepEqual(details(set.select(IdSet.parse('7'))), { expiration: 0, scheduling: undefined });
});

test('properties come in the order of the tables that Flux keeps them in', () => {
  const given =
    'alpha beta gamma delta épsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi chi psi omega';
  const listed =
    'phi omicron omega gamma kappa tau mu sigma theta lambda upsilon épsilon iota beta nu xi delta alpha psi zeta chi pi rho eta';
  const copied =
    'phi omicron omega gamma kappa tau mu sigma theta lambda upsilon épsilon iota nu beta xi alpha delta psi zeta chi rho pi eta';
  const added = listed.replace('sigma', 'sigma new');
  const one = ResourceSet.uniform(IdSet.parse('0'), Hostlist.parse('a'), resourcesOf([['core', IdSet.parse('0')]]));
  const set = withProperties(
    one,
    given.split(' ').map((name) => [name, '0']),
  );
  const names = (set: ResourceSet) => [...propertiesOf(set).keys()].join(' ');
  assert.equal(names(set), listed);
  assert.equal(names(parseResourceSet(encodeResourceSet(set)).select(set.ranks)), copied);
  assert.equal(
    names(
      withProperties(parseResourceSet(encodeResourceSet(set)), [
        ['alpha', '0'],
        ['new', '0'],
      ]),
    ),
    added,
  );
});

test('reranking serves several ranks of one host in order', () => {
  const set = ResourceSet.uniform(
    IdSet.parse('0-3'),
    Hostlist.parse('a,b,a,c'),
    resourcesOf([['core', IdSet.parse('0')]]),
  );
  const reranked = set.rerank(Hostlist.parse('c,a,b,a'));
  assert.deepEqual(
    reranked.nodes.map((node) => [node.hostname, node.rank]),
    [
      ['a', 1],
      ['b', 2],
      ['a', 3],
      ['c', 0],
    ],
  );
  assert.throws(() => set.rerank(Hostlist.parse('a,b,b,c')), { code: 'ENOENT' });
  assert.equal(set.ranksOf(Hostlist.parse('a,c')).encode(), '0,2-3');
  assert.throws(() => set.ranksOf(Hostlist.parse('a,x,y')), { code: 'ENOENT', detail: 'invalid hosts: x,y' });
});

interface Model {
  readonly rank: number;
  readonly cores: readonly number[];
  readonly gpus: readonly number[];
}

const ids = fc.uniqueArray(fc.nat(5), { maxLength: 4 });
const models = fc
  .uniqueArray(fc.record({ rank: fc.nat(8), cores: ids, gpus: ids }), { selector: (node) => node.rank })
  .map((nodes) => nodes.filter(({ cores, gpus }) => cores.length + gpus.length));

function setOf(model: readonly Model[]): ResourceSet {
  const R_lite = model.map(({ rank, cores, gpus }) => ({
    rank: `${rank}`,
    children: { core: IdSet.from(cores).encode(), ...(gpus.length && { gpu: IdSet.from(gpus).encode() }) },
  }));
  const nodelist = model
    .map(({ rank }) => rank)
    .sort((a, b) => a - b)
    .map((rank) => `n${rank}`);
  return resourceSetFromJson({ version: 1, execution: { R_lite, nodelist } });
}

function itemsOf(set: ResourceSet): string[] {
  return set.nodes
    .flatMap(({ rank, resources }) =>
      [...resources].flatMap(([type, ids]) => [...ids].map((id) => `${rank}/${type}${id}`)),
    )
    .sort();
}

test('algebra agrees with sets of single resources', () => {
  fc.assert(
    fc.property(models, models, (x, y) => {
      const [a, b] = [setOf(x), setOf(y)];
      const [inA, inB] = [itemsOf(a), itemsOf(b)];
      const common = inA.filter((item) => inB.includes(item));
      assert.deepEqual(
        itemsOf(a.diff(b)),
        inA.filter((item) => !inB.includes(item)),
      );
      assert.deepEqual(itemsOf(a.intersect(b)), common);
      assert.deepEqual(itemsOf(a.union(b)), [...new Set([...inA, ...inB])].sort());
      assert.deepEqual(itemsOf(a.add(b)), itemsOf(a.union(b)));
      if (common.length) assert.throws(() => a.append(b), { code: 'EEXIST' });
      else assert.deepEqual(itemsOf(a.append(b)), [...inA, ...inB].sort());
      for (const set of [a, a.diff(b), a.union(b), a.intersect(b)]) {
        assert.equal(set.nodelist!.encode(), Hostlist.from([...set.ranks].map((rank) => `n${rank}`)).encode());
        const text = encodeResourceSet(set);
        assert.deepEqual(itemsOf(parseResourceSet(text)), itemsOf(set));
        assert.equal(encodeResourceSet(parseResourceSet(text)).length, text.length);
        assert.equal(set.count('core') + set.count('gpu'), itemsOf(set).length);
      }
      const remapped = a.remap();
      assert.equal(remapped.ranks.encode(), IdSet.from(a.nodes.keys()).encode());
      assert.equal(remapped.count('core'), a.count('core'));
    }),
  );
});

test('any JSON is a resource set or an error', () => {
  const text = fc.constantFrom('', '0', '0-1', '1,x', 'a[0-1]', 'a', 'core');
  const scraps = fc.record(
    {
      version: fc.constantFrom(1, 1, 1, 2, '1'),
      execution: fc.record(
        {
          R_lite: fc.array(
            fc.record({ rank: fc.oneof(text, fc.nat(1)), children: fc.dictionary(text, fc.oneof(text, fc.nat(1))) }),
          ),
          nodelist: fc.oneof(fc.array(fc.oneof(text, fc.nat(1))), text),
          properties: fc.oneof(fc.dictionary(text, fc.oneof(text, fc.nat(1))), text),
          starttime: fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), text),
        },
        { requiredKeys: ['R_lite'] },
      ),
      scheduling: fc.jsonValue(),
    },
    { requiredKeys: ['version', 'execution'] },
  );
  fc.assert(
    fc.property(fc.oneof(scraps, fc.jsonValue()), (value) => {
      try {
        const set = resourceSetFromJson(value);
        assert.ok(parseResourceSet(encodeResourceSet(set)).ranks.count <= set.ranks.count);
        set.remap().describe();
      } catch (error) {
        assert.ok(isFluxError(error), String((error as Error).stack));
      }
    }),
    { numRuns: 1000 },
  );
});

test('16384 ranks are worked with at once', () => {
  const ranks = IdSet.range(0, 16383);
  const node = resourcesOf([
    ['core', IdSet.parse('0-63')],
    ['gpu', IdSet.parse('0-7')],
  ]);
  const seconds = cpuSeconds(() => {
    const set = withProperties(ResourceSet.uniform(ranks, Hostlist.parse('node[0-16383]'), node), [['big', '0-8191']]);
    const half = set.select(IdSet.range(8192, 16383));
    assert.equal(encodeResourceSet(set.diff(half).append(half)).length, encodeResourceSet(set).length);
    assert.equal(parseResourceSet(encodeResourceSet(set)).count('core'), 2 ** 20);
    assert.equal(set.describe(), 'rank[0-16383]/core[0-63],gpu[0-7]');
    assert.equal(set.append(...Array.from({ length: 4096 }, () => ResourceSet.empty)).count('gpu'), 2 ** 17);
  });
  assert.ok(seconds < 4, `${seconds} s`);
});
