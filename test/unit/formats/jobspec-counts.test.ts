import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Jobspec, type SlotRequest } from '../../../core/formats/jobspec.ts';
import { countJobspec, type JobspecCounts } from '../../../core/formats/jobspec-counts.ts';
import { type JsonObject, type JsonValue, parseJson, Real } from '../../../core/json.ts';
import { throwsCode } from '../../errors.ts';

const none: JobspecCounts = { nodes: 0, slots: 0, cores: 0, gpus: 0, isExclusive: false, duration: 0 };

const requests: [request: SlotRequest, counts: Partial<JobspecCounts>][] = [
  [
    { slots: 4, cores: 2 },
    { slots: 4, cores: 2 },
  ],
  [
    { slots: 4, cores: 2, gpus: 1 },
    { slots: 4, cores: 2, gpus: 1 },
  ],
  [
    { slots: 4, cores: 1, nodes: 2 },
    { nodes: 2, slots: 4, cores: 1 },
  ],
  [
    { slots: 3, cores: 1, nodes: 2 },
    { nodes: 2, slots: 4, cores: 1 },
  ],
  [
    { slots: 2, cores: 1, nodes: 2, exclusive: true },
    { nodes: 2, slots: 2, cores: 1, isExclusive: true },
  ],
];
for (const [request, counts] of requests)
  test(JSON.stringify(request), () => {
    const jobspec = Jobspec.forSlots(['true'], request);
    jobspec.setDuration(60);
    assert.deepEqual(countJobspec(parseJson(jobspec.encode())), { ...none, ...counts, duration: 60 });
  });

function jobspec(resources: JsonValue, duration: JsonValue = 0): JsonObject {
  return { version: 1, resources, tasks: [], attributes: { system: { duration } } };
}

const slot = (inside: JsonValue, count: JsonValue = 1) => ({ type: 'slot', count, label: 'task', with: inside });
const core = { type: 'core', count: 1 };

test('types that are not known are let pass', () => {
  const resources = [
    { type: 'rack', count: 2, with: [{ type: 'node', count: 3, with: [slot([core, { type: 'disk', count: 9 }])] }] },
  ];
  assert.deepEqual(countJobspec(jobspec(resources, new Real(1))), {
    ...none,
    nodes: 6,
    slots: 6,
    cores: 1,
    duration: 1,
  });
});

const nested = (depth: number): JsonValue => (depth ? [{ type: 'x', count: 1, with: nested(depth - 1) }] : [core]);

const faults: [jobspec: JsonValue | undefined, text: string][] = [
  [undefined, 'not an object'],
  [{}, 'no version'],
  [{ version: 1 }, 'no duration'],
  [jobspec([], 'x'), 'no duration'],
  [jobspec({}), 'must be an array'],
  [jobspec(['x']), 'must be an object'],
  [jobspec([{ count: 1 }]), 'no type'],
  [jobspec([{ type: 'core' }]), "'core' has no count"],
  [jobspec([slot([core], 1.5)]), "'slot' has no count"],
  [jobspec([slot([core], 0)]), "Invalid count 0 for type 'slot'"],
  [jobspec([core]), 'slot count'],
  [jobspec([slot([])]), 'slot size'],
  [jobspec(nested(200)), 'nested too deep'],
];
for (const [value, text] of faults)
  test(`${JSON.stringify(value)?.slice(0, 80)}: ${text}`, () =>
    throwsCode(() => countJobspec(value), 'EINVAL', new RegExp(text)));
