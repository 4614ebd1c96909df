/** The machine's topology: hwloc and /sys agree on this machine; made-up machines below a folder; GPUs in made-up XML. */

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { coreCpus, countGpus, cpuTopology, hwloc, topology } from '../../../native/index.ts';
import { requireAddon, temporaryFolder } from './support.ts';

requireAddon();
const installed = hwloc() !== undefined;
const skip = installed ? false : 'libhwloc.so.15 is not installed';

test('hwloc and /sys give the same counts', { skip }, () => {
  const { packages, cores, pus, numaNodes } = hwloc()!;
  assert.deepEqual(cpuTopology(), { packages, cores, pus, numaNodes });
});

test('the topology is one of them', () => {
  const { packages, cores, pus, numaNodes, xml, notice } = topology();
  assert.deepEqual({ packages, cores, pus, numaNodes }, cpuTopology());
  assert.equal(xml === undefined, !installed);
  assert.equal(notice === undefined, installed);
});

test('hwloc reads its own XML back', { skip }, () => {
  const topology = hwloc()!;
  assert.equal(topology.apiVersion >> 16, 2);
  assert.match(topology.xml, /^<\?xml .*<topology version="2/s);
  assert.ok(topology.xml.endsWith('\n'));
  const { xml: _, ...counts } = hwloc({ xml: topology.xml, bound: false })!;
  const { xml: __, ...expected } = topology;
  assert.deepEqual(counts, expected);
  assert.throws(() => hwloc({ xml: '<nonsense/>', bound: false }), { code: 'EINVAL', message: /this XML/ });
});

test('hwloc reads the XML of another machine', { skip }, () => {
  const xml = machineXml(4);
  const { packages, cores, pus, numaNodes } = hwloc({ xml, bound: false })!;
  assert.deepEqual({ packages, cores, pus, numaNodes }, { packages: 1, cores: 4, pus: 4, numaNodes: 1 });
});

/** The least that hwloc accepts: a package of some cores. */
function machineXml(cores: number): string {
  const sets = (mask: number) =>
    `cpuset="${hex(mask)}" complete_cpuset="${hex(mask)}" nodeset="0x1" complete_nodeset="0x1"`;
  const all = 2 ** cores - 1;
  const core = (_: unknown, index: number) =>
    `<object type="Core" os_index="${index}" ${sets(1 << index)}><object type="PU" os_index="${index}" ${sets(1 << index)}/></object>`;
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE topology SYSTEM "hwloc2.dtd">
<topology version="2.0">
<object type="Machine" os_index="0" ${sets(all)} allowed_cpuset="${hex(all)}" allowed_nodeset="0x1">
<object type="NUMANode" os_index="0" ${sets(all)} local_memory="1024"/>
<object type="Package" os_index="0" ${sets(all)}>${Array.from({ length: cores }, core).join('\n')}</object>
</object>
</topology>
`;
}

const hex = (mask: number) => `0x${mask.toString(16)}`;

/** A folder that looks like /sys; a processor is [package, hardware threads of its core]. */
function machine(
  cpus: [pkg: number, siblings: string][],
  online: string,
  nodes?: string,
  siblingsFile = 'core_cpus_list',
) {
  const root = temporaryFolder();
  const put = (name: string, text: string) => {
    fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    fs.writeFileSync(path.join(root, name), `${text}\n`);
  };
  put('devices/system/cpu/online', online);
  if (nodes !== undefined) put('devices/system/node/online', nodes);
  cpus.forEach(([pkg, siblings], cpu) => {
    put(`devices/system/cpu/cpu${cpu}/topology/physical_package_id`, `${pkg}`);
    put(`devices/system/cpu/cpu${cpu}/topology/${siblingsFile}`, siblings);
  });
  return root;
}

/** Two packages of two cores with two hardware threads each. */
const dual: [number, string][] = [
  [0, '0,4'],
  [0, '1,5'],
  [1, '2,6'],
  [1, '3,7'],
  [0, '0,4'],
  [0, '1,5'],
  [1, '2,6'],
  [1, '3,7'],
];

const machines: [name: string, root: string, allowed: string | undefined, counts: [number, number, number, number]][] =
  [
    ['two packages', machine(dual, '0-7', '0-1'), '0-7', [2, 4, 8, 2]],
    ['bound to one package', machine(dual, '0-7', '0-1'), '0-1,4-5', [1, 2, 4, 2]],
    ['bound to one thread of each core', machine(dual, '0-7', '0-1'), '0-3', [2, 4, 4, 2]],
    ['a processor offline', machine(dual, '0-6', '0-1'), '0-127', [2, 4, 7, 2]],
    ['nothing known of the binding', machine(dual, '0-7', '0'), undefined, [2, 4, 8, 1]],
    ['no NUMA', machine(dual, '0-7'), '0-7', [2, 4, 8, 1]],
    ['an old kernel', machine(dual, '0-7', '0', 'thread_siblings_list'), '0-7', [2, 4, 8, 1]],
    ['no topology files', machine([], '0-2', '0'), '0-2', [1, 3, 3, 1]],
  ];

for (const [name, root, allowed, [packages, cores, pus, numaNodes]] of machines) {
  test(`/sys: ${name}`, () => {
    // A default parameter would take the place of an undefined one.
    const counts = allowed === undefined ? cpuTopology(root, '0-4095') : cpuTopology(root, allowed);
    assert.deepEqual(counts, { packages, cores, pus, numaNodes });
  });
}

const byCore: [name: string, root: string, allowed: string, cores: number[][]][] = [
  [
    'two packages',
    machine(dual, '0-7', '0'),
    '0-7',
    [
      [0, 4],
      [1, 5],
      [2, 6],
      [3, 7],
    ],
  ],
  ['bound to some', machine(dual, '0-7', '0'), '1,3-5', [[1, 5], [4], [3]]],
  [
    'packages that take turns',
    machine(
      [
        [0, '0'],
        [1, '1'],
        [0, '2'],
        [1, '3'],
      ],
      '0-3',
      '0',
    ),
    '0-3',
    [[0], [2], [1], [3]],
  ],
];

for (const [name, root, allowed, cores] of byCore) {
  test(`/sys: cores of ${name}`, () => assert.deepEqual(coreCpus(root, allowed), cores));
}

test('hwloc and /sys number cores alike', { skip }, () => {
  const cores = [...hwloc()!.xml.matchAll(/<object type="Core"[^>]* cpuset="([^"]*)"/g)].map(([, mask]) =>
    Number(mask),
  );
  assert.deepEqual(
    coreCpus().map((cpus) => cpus.reduce((mask, cpu) => mask + 2 ** cpu, 0)),
    cores,
  );
});

test('/sys: not there', () => {
  const counts = cpuTopology('/no/such/sys');
  assert.equal(counts.packages, 1);
  assert.ok(counts.cores >= 1 && counts.cores === counts.pus);
});

const device = (backend: string, more = '') =>
  `<object type="OSDev" name="x"${more}>\n<info name="Backend" value="${backend}"/></object>`;
const pci = (...devices: string[]) => `<object type="PCIDev" gp_index="1">${devices.join('')}</object>`;

const gpus: [name: string, xml: string, count: number][] = [
  ['none', pci(device('Linux')), 0],
  ['one', pci(device('CUDA')), 1],
  ['one by two backends', pci(device('CUDA'), device('OpenCL'), device('NVML')), 1],
  ['two', pci(device('OpenCL')) + pci(device('OpenCL'), device('CUDA')), 2],
  ['two partitions of one device', pci(device('RSMI'), device('RSMI')), 2],
  ['partitions, and another backend', pci(device('RSMI'), device('RSMI'), device('OpenCL')), 2],
  ['outside of PCI', device('OpenCL') + device('OpenCL'), 2],
  ['a display', pci(device('GL')), 0],
  ['a closed object before it', `<object type="PU" os_index="0"/>${pci('<object type="Misc"/>', device('NVML'))}`, 1],
  ['an attribute like a name', pci(device('CUDA', ' osdev_name="Backend"')), 1],
];

for (const [name, xml, count] of gpus) test(`GPUs: ${name}`, () => assert.equal(countGpus(xml), count));
