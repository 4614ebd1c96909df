// Hostlists against the recorded vectors, among them command lines of `flux hostlist`, and against arrays of names.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { FluxError } from '../../../core/errno.ts';
import { parseFluid } from '../../../core/formats/fluid.ts';
import { Hostlist } from '../../../core/formats/hostlist.ts';
import { IdSet } from '../../../core/formats/idset.ts';
import { cpuSeconds } from '../../cpu-time.ts';
import { golden } from '../../golden.ts';

interface Vectors {
  readonly decode: readonly {
    readonly in: string;
    readonly error?: string;
    readonly count: number;
    readonly encoded: string;
    readonly expand: readonly string[];
  }[];
  readonly ops: readonly {
    readonly in: string;
    readonly sort: string;
    readonly uniq: string;
    readonly index: Readonly<Record<string, number>>;
    readonly item0: string;
    readonly last: string;
  }[];
  readonly cli: readonly {
    readonly argv: readonly string[];
    readonly stdout: string;
    readonly stderr: string;
    readonly exit: number;
  }[];
}

const vectors = golden<Vectors>('vectors/hostlist.json');

const isEinval = (error: unknown) => error instanceof FluxError && error.code === 'EINVAL' && !!error.detail;

test('decode vectors', async (t) => {
  for (const row of vectors.decode) {
    await t.test(JSON.stringify(row.in), () => {
      if (row.error) {
        assert.throws(() => Hostlist.parse(row.in), isEinval);
        return;
      }
      const hosts = Hostlist.parse(row.in);
      assert.equal(hosts.count, row.count);
      assert.equal(hosts.encode(), row.encoded);
      assert.deepEqual(hosts.expand(), row.expand);
    });
  }
});

test('operation vectors', () => {
  for (const row of vectors.ops) {
    const hosts = Hostlist.parse(row.in);
    assert.equal(hosts.sort().encode(), row.sort);
    assert.equal(hosts.uniq().encode(), row.uniq);
    for (const [name, position] of Object.entries(row.index)) assert.equal(hosts.find(name), position);
    assert.equal(hosts.nth(0), row.item0);
    assert.equal(hosts.first, row.item0);
    assert.equal(hosts.last, row.last);
  }
});

test('command line vectors', async (t) => {
  for (const { argv, ...expected } of vectors.cli) {
    await t.test(argv.slice(2).join(' '), () => assert.deepEqual(fluxHostlist(argv.slice(2)), expected));
  }
});

/** What `flux hostlist` does for the vectors' options when no broker runs. */
function fluxHostlist(args: readonly string[]): { stdout: string; stderr: string; exit: number } {
  const flag = (short: string) => ({ type: 'boolean', short }) as const;
  const value = (short: string) => ({ type: 'string', short }) as const;
  const { values, positionals } = parseArgs({
    // A value that starts with a hyphen is joined to its option, which parseArgs asks for.
    args: args
      .join('\0')
      .replace(/(-[nL])\0-/g, '$1-')
      .split('\0'),
    allowPositionals: true,
    options: {
      ...{ expand: flag('e'), delimiter: value('d'), count: flag('c'), nth: value('n'), find: value('F') },
      ...{ limit: value('L'), sort: flag('S'), exclude: value('x'), union: flag('u'), quiet: flag('q') },
      ...{ intersect: flag('i'), minus: flag('m'), xor: flag('X') },
    },
  });
  const keep = (hosts: Hostlist, test: (name: string) => boolean) => Hostlist.from(hosts.expand().filter(test));
  const combine = (a: Hostlist, b: Hostlist): Hostlist => {
    if (values.intersect) return keep(a, (name) => b.has(name)).uniq();
    if (values.minus) return a.delete(b);
    if (values.xor)
      return keep(a, (name) => !b.has(name))
        .append(keep(b, (name) => !a.has(name)))
        .uniq();
    return a.append(b);
  };
  try {
    let hosts = positionals.map(source).reduce(combine);
    if (values.exclude !== undefined) hosts = exclude(hosts, values.exclude);
    if (values.sort) hosts = hosts.sort();
    if (values.union) hosts = hosts.uniq();
    if (values.limit) {
      const limit = Number(values.limit);
      hosts = Hostlist.from(limit > 0 ? hosts.expand().slice(0, limit) : hosts.expand().slice(limit));
    }
    if (values.nth?.startsWith('-')) {
      const count = hosts.count;
      hosts = hosts.pick([...IdSet.parse(values.nth.slice(1))].reverse().map((id) => count - id));
    } else if (values.nth) hosts = hosts.pick(IdSet.parse(values.nth));

    if (values.find) return output(hosts.index(Hostlist.parse(values.find)).join(' '));
    if (values.count) return output(`${hosts.count}`);
    if (values.expand) return output(hosts.expand().join(values.delimiter ?? ' '));
    return output(hosts.encode());
  } catch (error) {
    assert.ok(error instanceof FluxError, String(error));
    return { stdout: '', stderr: `flux-hostlist: ERROR: ${error.message}\n`, exit: 1 };
  }
}

function output(text: string) {
  return { stdout: text && `${text}\n`, stderr: '', exit: 0 };
}

function source(text: string): Hostlist {
  if (isJobId(text)) {
    throw new FluxError('ENOENT', 'Unable to connect to Flux: broker socket /run/flux/local was not found');
  }
  try {
    return Hostlist.parse(text);
  } catch (cause) {
    throw new FluxError('EINVAL', `Invalid jobid or hostlist ${text}`, { cause });
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

function exclude(hosts: Hostlist, text: string): Hostlist {
  const names = new Set(Hostlist.parse(text));
  const rest = Hostlist.from(hosts.expand().filter((name) => !names.has(name)));
  if (rest.count < hosts.count) return rest;
  const positions = IdSet.parse(text);
  return Hostlist.from(hosts.expand().filter((_, position) => !positions.has(position)));
}

test('the vectors of RFC 29', () => {
  const rows: [string, string][] = [
    ['', ''],
    ['foox,fooy,fooz', 'foox,fooy,fooz'],
    ['[1-3,5-6]', '1,2,3,5,6'],
    ['foo[1-5]', 'foo1,foo2,foo3,foo4,foo5'],
    ['foo[0-4]-eth2', 'foo0-eth2,foo1-eth2,foo2-eth2,foo3-eth2,foo4-eth2'],
    ['foo1,foo1,foo1', 'foo1,foo1,foo1'],
    ['[00-02]', '00,01,02'],
    ['[00-2]', '00,01,02'],
    ['foo[1,1,2,1]', 'foo1,foo1,foo2,foo1'],
  ];
  for (const [text, names] of rows) assert.equal(Hostlist.parse(text).expand().join(','), names);
});

test('errors quote the part that is wrong', () => {
  const rows: [string, string][] = [
    ['a,b[1-2,x],c', "bad range 'x' in 'b[1-2,x]'"],
    ['a[3-1]', "range '3-1' in 'a[3-1]' is backwards"],
    ['a[1-', "unbalanced brackets in 'a[1-'"],
    ['a]', "unbalanced brackets in 'a]'"],
    ['a[0-1048576]', "range '0-1048576' in 'a[0-1048576]' is too large"],
    ['a[0-1048574],b[7,8]', "range '8' in 'b[7,8]' is too large"],
  ];
  for (const [text, detail] of rows) assert.throws(() => Hostlist.parse(text), { detail });
});

test('sorting keeps repeats beside their twins, whatever the order and padding', () => {
  const rows: [string, string, string][] = [
    ['a[5-7,6-8]', 'a[5-6,6-7,7-8]', 'a[5-8]'],
    ['a[1-3,2,1,1,0,6,5,4]', 'a[0-1,1,1-2,2-6]', 'a[0-6]'],
    ['a[11-13,11-12,11-15,6,9,3]', 'a[3,6,9,11,11,11-12,12,12-13,13-15]', 'a[3,6,9,11-15]'],
    ['a[10,04-09,6,1,8-11,5]', 'a[1,5-6,8-11,04-10]', 'a[1,5-6,8-11,04-10]'],
    ['a[10,02],a,a[07,9]', 'a,a[9,02,07,10]', 'a,a[9,02,07,10]'],
    ['b,a1[8,5-7,5]', 'a1[5,5-8],b', 'a1[5-8],b'],
  ];
  for (const [text, sorted, uniq] of rows) {
    assert.equal(Hostlist.parse(text).sort().encode(), sorted);
    assert.equal(Hostlist.parse(text).uniq().encode(), uniq);
  }
});

test('deleting takes the first of each name and leaves the others as they were', () => {
  const rows: [string, string, string][] = [
    ['a[1-5]', 'a3', 'a[1-2,4-5]'],
    ['a[1,3,2]', 'a3', 'a[1,2]'],
    ['a[1-2,1-2]', 'a1', 'a[2,1-2]'],
    ['a[1-2,1-2]', 'a[1,1]', 'a[2,2]'],
    ['a,b,c', 'b,x', 'a,c'],
    ['a[09-11]', 'a9,a10', 'a[09,11]'],
  ];
  for (const [text, doomed, rest] of rows) {
    assert.equal(Hostlist.parse(text).delete(Hostlist.parse(doomed)).encode(), rest);
  }
});

test('looking up names the hosts that are missing', () => {
  const hosts = Hostlist.parse('a[1-5],b');
  assert.deepEqual(hosts.index(Hostlist.parse('b,a[4,1]')), [5, 3, 0]);
  assert.throws(() => hosts.index(Hostlist.parse('c')), { code: 'ENOENT', detail: "host 'c' not found" });
  assert.throws(() => hosts.index(Hostlist.parse('a[5-7]')), { detail: "hosts 'a[6-7]' not found" });
  assert.throws(() => hosts.pick([0, 6]), { code: 'ENOENT' });
  for (const name of ['a', 'a0', 'a01', 'a1.5', 'a1e0', 'a 1', 'ab', '']) assert.equal(hosts.find(name), undefined);
});

const number = fc.tuple(fc.nat(120), fc.constantFrom(0, 0, 2, 3)).map(([n, width]) => `${n}`.padStart(width, '0'));
const name = fc.tuple(fc.constantFrom('a', 'b', 'a1', '', 'x-'), fc.oneof(number, number, fc.constantFrom('n', 's')));
const names = fc.array(
  name.map((parts) => parts.join('')),
  { maxLength: 60 },
);

test('lists agree with arrays of names', () => {
  fc.assert(
    fc.property(names, names, (a, b) => {
      const hosts = Hostlist.from(a);
      assert.deepEqual(hosts.expand(), a);
      assert.deepEqual(Hostlist.parse(hosts.encode()).expand(), a);
      assert.deepEqual(Hostlist.parse(a.join(',')).expand(), a);
      assert.deepEqual(hosts.append(Hostlist.from(b)).expand(), [...a, ...b]);
      assert.deepEqual(hosts.sort().expand().sort(), a.toSorted());
      for (const [position, name] of a.entries()) {
        assert.equal(hosts.find(name), a.indexOf(name));
        assert.equal(hosts.nth(position), name);
      }
      for (const name of b) assert.equal(hosts.has(name), a.includes(name));
      const rest = [...a];
      for (const name of b) if (rest.includes(name)) rest.splice(rest.indexOf(name), 1);
      assert.deepEqual(hosts.delete(Hostlist.from(b)).expand(), rest);
    }),
  );
});

test('uniq of equally padded names is the sorted set of them', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(40)), (numbers) => {
      const expected = [...new Set(numbers)].sort((a, b) => a - b).map((n) => `a${n}`);
      assert.deepEqual(
        Hostlist.from(numbers.map((n) => `a${n}`))
          .uniq()
          .expand(),
        expected,
      );
    }),
  );
});

test('any text is a list or EINVAL', () => {
  const scraps = fc.string({ unit: fc.constantFrom(...'ab019-[], \t') });
  fc.assert(
    fc.property(fc.oneof(scraps, fc.string({ unit: 'binary' })), (text) => {
      try {
        Hostlist.parse(text).sort().uniq().encode();
      } catch (error) {
        assert.ok(isEinval(error), String(error));
      }
    }),
    { numRuns: 1000 },
  );
});

test('16384 names encode in milliseconds, regular or not', () => {
  const regular = Array.from({ length: 16384 }, (_, i) => `node${i}`);
  const scattered = Array.from({ length: 16384 }, (_, i) => `node${(i * 7919) % 16384}`);
  const list = Hostlist.from(scattered);
  let text = '';
  const encoded = cpuSeconds(() => {
    assert.equal(Hostlist.from(regular).encode(), 'node[0-16383]');
    text = list.encode();
  });
  assert.ok(encoded < 0.5, `${encoded} s`);
  const seconds = cpuSeconds(() => {
    assert.deepEqual(Hostlist.parse(text).expand(), scattered);
    assert.equal(list.sort().encode(), 'node[0-16383]');
    assert.deepEqual(list.index(list).slice(-1), [16383]);
  });
  assert.ok(seconds < 2, `${seconds} s`);
});
