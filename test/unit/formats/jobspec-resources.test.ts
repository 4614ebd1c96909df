import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Jobspec, type SlotRequest } from '../../../core/formats/jobspec.ts';
import { countJobspec, type JobspecCounts, readDuration, readSlots } from '../../../core/formats/jobspec-resources.ts';
import type { ResourceCount } from '../../../core/formats/resource-count.ts';
import { type JsonObject, type JsonValue, parseJson, Real } from '../../../core/json.ts';
import { throwsCode } from '../../errors.ts';

const none: JobspecCounts = { nodes: 0, slots: 0, cores: 0, gpus: 0, hasWholeNodes: false };

const requests: [request: SlotRequest, counts: Partial<JobspecCounts>][] = [
  [
    { slots: 4, cores: 2 },
    { slots: 4, cores: 8 },
  ],
  [
    { slots: 4, cores: 2, gpus: 1 },
    { slots: 4, cores: 8, gpus: 4 },
  ],
  [
    { slots: 4, cores: 1, nodes: 2 },
    { nodes: 2, slots: 4, cores: 4 },
  ],
  [
    { slots: 3, cores: 1, nodes: 2 },
    { nodes: 2, slots: 4, cores: 4 },
  ],
  [
    { slots: 2, cores: 1, nodes: 2, exclusive: true },
    { nodes: 2, slots: 2, cores: 2, hasWholeNodes: true },
  ],
];
for (const [request, counts] of requests)
  test(JSON.stringify(request), () => {
    const jobspec = Jobspec.forSlots(['true'], request);
    jobspec.setDuration(60);
    const parsed = parseJson(jobspec.encode()) as JsonObject;
    assert.deepEqual(countJobspec(parsed), { ...none, ...counts });
    assert.equal(readDuration(parsed), 60);
  });

function jobspec(resources: JsonValue): JsonObject {
  return { version: 1, resources, tasks: [], attributes: { system: { duration: 0 } } };
}

const slot = (inside: JsonValue, count: JsonValue = 1) => ({ type: 'slot', count, label: 'task', with: inside });
const core = { type: 'core', count: 1 };
const node = (inside: JsonValue, count: JsonValue) => ({ type: 'node', count, with: [inside] });
const rack = (inside: JsonValue, count: JsonValue) => ({ type: 'rack', count, with: [inside] });

const readings: [resources: JsonValue, nodes: string, slots: string, counts: Partial<JobspecCounts>][] = [
  [[slot([{ type: 'core' }])], 'any', '1', { slots: 1, cores: 1 }],
  [[rack(node(slot([core, { type: 'disk', count: 9 }], 2), 3), 2)], '6', '2', { nodes: 6, slots: 12, cores: 12 }],
  [[node(slot([core], '2-4'), { min: 2, max: 8 })], '2-8', '2-4', { nodes: 2, slots: 4, cores: 4 }],
  [[rack(node(slot([core]), '1+'), { min: 2 })], '2+', '1', { nodes: 2, slots: 2, cores: 2 }],
  [[{ ...slot([core], 3), exclusive: true }], 'any', '3', { slots: 3, cores: 3 }],
];
const textOf = (count: ResourceCount | undefined) => (count ? String(count) : 'any');
for (const [resources, nodes, slots, counts] of readings)
  test(JSON.stringify(resources), () => {
    const read = readSlots(jobspec(resources));
    assert.deepEqual([textOf(read.nodes), textOf(read.slots)], [nodes, slots]);
    assert.deepEqual(countJobspec(jobspec(resources)), { ...none, ...counts });
  });

const nested = (depth: number): JsonValue => (depth ? [{ type: 'x', count: 1, with: nested(depth - 1) }] : [core]);

const faults: [resources: JsonValue, text: string][] = [
  [{}, 'level 0: must be an array'],
  [['x'], 'level 0: a resource must be an object'],
  [[{ count: 1 }], 'level 0: a resource has no type'],
  [[slot([core], 1.5)], 'level 0: slot: bad resource count: it is not an integer'],
  [[slot([{ type: 'core', count: 0 }])], 'level 1: core: bad resource count: 0 is below 1'],
  [[core], 'slot count'],
  [[slot([])], 'slot size'],
  [nested(200), 'nesting exceeds'],
];
for (const [resources, text] of faults)
  test(`${JSON.stringify(resources).slice(0, 80)}: ${text}`, () =>
    throwsCode(() => countJobspec(jobspec(resources)), 'EINVAL', new RegExp(text)));

const durations: [jobspec: JsonObject, duration: number | RegExp][] = [
  [{ version: 1, attributes: { system: { duration: new Real(1.5) } } }, 1.5],
  [{ version: 1, attributes: { system: { duration: 60n } } }, 60],
  [{ version: 1, attributes: { system: { duration: 'x' } } }, /it is not a number/],
  [{ version: 1, attributes: { system: { duration: null } } }, /not found: duration/],
  [{ version: 1, attributes: {} }, /not found: system/],
  [{ version: 9 }, 0],
];
for (const [index, [jobspec, duration]] of durations.entries())
  test(`duration ${index}: ${duration}`, () => {
    if (typeof duration === 'number') assert.equal(readDuration(jobspec), duration);
    else throwsCode(() => readDuration(jobspec), 'EINVAL', duration);
  });
