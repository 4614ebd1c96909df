// What the words of a user mean: ranks and hosts, the ranks of flux exec, processes and their ends, URIs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { filterTargets, instanceTargets } from '../../../cli/exec-targets.ts';
import { hostsOf, rankOf, ranksOf, requireRank, translateTarget } from '../../../cli/hosts.ts';
import { parseProcessName } from '../../../cli/remote-process.ts';
import { localUri, remoteUri } from '../../../cli/uri-forms.ts';
import { resolveUri } from '../../../cli/uri-resolve.ts';
import { Hostlist } from '../../../core/formats/hostlist.ts';
import { IdSet } from '../../../core/formats/idset.ts';
import { exitCodeOf, signalOf } from '../../../core/formats/wait-status.ts';
import { refused, throwsCode } from '../../errors.ts';

test('targets of flux exec are included, excluded, or an error', () => {
  const rows: readonly {
    readonly all: string;
    readonly include?: string;
    readonly exclude?: string;
    readonly relative?: boolean;
    readonly kept: string | RegExp;
  }[] = [
    { all: '0-3', kept: '0-3' },
    { all: '0-3', include: '1-2', kept: '1-2' },
    { all: '0-3', exclude: '0', kept: '1-3' },
    { all: '0-3', include: '0-1', exclude: '1-9', kept: '0' },
    { all: '0-3', include: '3-4', kept: /ranks 3-4 do not exist: there are 4/ },
    { all: '0-3', include: '', kept: /no rank is left/ },
    { all: '0-3', exclude: '0-3', kept: /no rank is left/ },
    // Of a job on ranks 4 and 7, position 1 is rank 7.
    { all: '4,7', include: '1', relative: true, kept: '7' },
    { all: '4,7', exclude: '1', relative: true, kept: '4' },
    { all: '4,7', exclude: '7', relative: true, kept: '4,7' },
    { all: '4,7', include: '4', relative: true, kept: /ranks 4 do not exist: there are 2/ },
  ];
  for (const { all, include, exclude, relative = false, kept } of rows) {
    const set = (text: string | undefined) => (text === undefined ? undefined : IdSet.parse(text));
    const filter = () => filterTargets(IdSet.parse(all), set(include), set(exclude), relative).encode();
    if (typeof kept === 'string') assert.equal(filter(), kept);
    else throwsCode(filter, 'EINVAL', kept);
  }
  assert.equal(instanceTargets(3).ranks.encode(), '0-2');
});

test('ranks and hosts are found by each other', () => {
  const hosts = Hostlist.parse('a,b,b,7,c');
  assert.deepEqual(
    ['a', 'b', 'c', '0', '9', '7', 'x', '-1', ''].map((target) => rankOf(target, hosts)),
    // A host may be called like a rank: it is meant then.
    [0, 1, 4, 0, 9, 3, undefined, undefined, undefined],
  );
  throwsCode(() => requireRank('x', hosts), 'EINVAL', /^'x' is neither a rank nor a host of this instance$/);
  assert.equal(ranksOf('0-2', hosts).encode(), '0-2');
  assert.equal(ranksOf('a,c', hosts).encode(), '0,4');
  assert.equal(translateTarget('0,4', hosts), 'a,c');
  assert.equal(translateTarget('c', hosts), '4');
  assert.equal(hostsOf(IdSet.parse('1-2'), hosts), 'b,b');
  throwsCode(() => translateTarget('x', hosts), 'ENOENT', /'x'/);
  throwsCode(() => translateTarget('3-5', hosts), 'ENOENT', /there is no rank 5/);
});

test('a wait status is an exit code as shells have it', () => {
  const rows: readonly (readonly [status: number, exitCode: number, signal: number])[] = [
    [0, 0, 0],
    [0x0100, 1, 0],
    [0xff00, 255, 0],
    [9, 137, 9],
    [0x80 | 11, 139, 11],
    // Stopped is no end.
    [0x137f, 0x13, 0],
  ];
  for (const [status, exitCode, signal] of rows)
    assert.deepEqual([exitCodeOf(status), signalOf(status)], [exitCode, signal], `status ${status}`);
});

test('a process is named by its id or its label', () => {
  assert.deepEqual(parseProcessName('12'), { pid: 12 });
  assert.deepEqual(parseProcessName('-1'), { pid: -1 });
  for (const label of ['12a', 'a', '1.5', '']) assert.deepEqual(parseProcessName(label), { pid: -1, label });
});

test('URIs are local to their host, or remote', async () => {
  const rows: readonly (readonly [uri: string, local: string, remote: string])[] = [
    ['local:///tmp/x', 'local:///tmp/x', 'ssh://here/tmp/x'],
    ['ssh://there/tmp//x', 'local:///tmp/x', 'ssh://there/tmp//x'],
    ['ssh://kim@there:22/tmp/x?port=1', 'local:///tmp/x', 'ssh://kim@there:22/tmp/x?port=1'],
  ];
  for (const [uri, local, remote] of rows) {
    assert.equal(localUri(uri), local);
    assert.equal(remoteUri(uri, 'here'), remote);
    assert.equal(await resolveUri(uri), uri);
  }
  for (const wrong of ['local:x', 'http://x/y', '']) throwsCode(() => localUri(wrong), 'EINVAL', /neither/);
});

test('any path has the same local URI, however it was remote', () => {
  const host = fc.stringMatching(/^[a-z][a-z0-9.-]*$/);
  const place = fc.stringMatching(/^(\/[\w.-]+)+$/);
  fc.assert(
    fc.property(host, place, (name, path) => {
      assert.equal(localUri(remoteUri(`local://${path}`, name)), `local://${path}`);
    }),
  );
});

test('targets that cannot be resolved are told apart', async () => {
  await refused(resolveUri('bloop:1'), 'ENOENT', /'bloop'/);
  await refused(resolveUri('pid:x'), 'EINVAL', /'x' is not a process id/);
  await refused(resolveUri('pid:999999999'), 'ESRCH', /999999999/);
  await refused(resolveUri(`pid:${process.pid}?local&remote`), 'EINVAL', /exclude each other/);
});
