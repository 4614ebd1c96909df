// Jobspecs, valid and not: each row changes one thing in a jobspec that is valid.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FluxError } from '../../../core/errno.ts';
import { constrainedHosts, validateJobspec } from '../../../core/formats/jobspec-validate.ts';
import { type JsonValue, parseJson } from '../../../core/json.ts';

const core = '{"type":"core","count":1}';
const slot = `{"type":"slot","count":1,"label":"task","with":[${core}]}`;
const task = '{"command":["app"],"slot":"task","count":{"per_slot":1}}';

function jobspec(resource = slot, oneTask = task, system = '"duration":0', rest = '"version":1'): JsonValue {
  return parseJson(`{"resources":[${resource}],"tasks":[${oneTask}],"attributes":{"system":{${system}}},${rest}}`);
}

test('valid jobspecs', () => {
  for (const valid of [
    jobspec(),
    jobspec(''),
    jobspec('{"type":"unicorn","count":0}', ''),
    jobspec('{"type":"node","count":2,"exclusive":true,"unit":"u","id":"i"}'),
    jobspec(slot, task.replace('per_slot', 'total')),
    jobspec(slot, task, '"duration":-1.5,"anything":{}'),
    jobspec(slot, task, '"duration":3600.0,"dependencies":[{"scheme":"after","value":"f1","more":1}]'),
    jobspec(slot, task, '"duration":0,"constraints":{"properties":["gpu"]}'),
  ])
    validateJobspec(valid);
});

test('invalid jobspecs, and what is wrong with them', () => {
  const rows: [JsonValue, string][] = [
    [null, 'the jobspec must be an object'],
    [[], 'the jobspec must be an object'],
    [{}, 'the jobspec: the key resources is missing'],
    [jobspec(slot, task, '"duration":0', '"version":1,"extra":1'), 'the jobspec: the key extra has no place there'],
    [jobspec(slot, task, '"duration":0', '"version":2'), 'version must be 1'],
    [jobspec(slot, task, '"duration":0', '"version":1.0'), 'version must be 1'],
    [jobspec('1'), 'resources[0] must be an object'],
    [jobspec('{"count":1}'), 'resources[0].type is a required key'],
    [jobspec('{"type":"core"}'), 'resources[0].count is a required key'],
    [jobspec('{"type":"core","count":0}'), 'resources[0].count must be at least 1'],
    [jobspec('{"type":"gpu","count":-1}'), 'resources[0].count must be at least 0'],
    [jobspec('{"type":"core","count":1.0}'), 'resources[0].count must be an integer'],
    [jobspec('{"type":"core","count":"1-4"}'), 'resources[0].count must be an integer'],
    [jobspec('{"type":"slot","count":1}'), 'resources[0].label is a required key of slots'],
    [jobspec('{"type":"core","count":1,"unit":1}'), 'resources[0].unit must be a string'],
    [jobspec('{"type":"core","count":1,"exclusive":"yes"}'), 'resources[0].exclusive must be true or false'],
    [jobspec('{"type":"node","count":1,"with":{}}'), 'resources[0].with must be an array'],
    [jobspec(slot.replace('"core"', '7')), 'resources[0].with[0].type must be a string'],
    [jobspec(slot, '{}'), 'tasks[0]: the key command is missing'],
    [jobspec(slot, task.replace('["app"]', '[]')), 'tasks[0].command must not be empty'],
    [jobspec(slot, task.replace('["app"]', '"app"')), 'tasks[0].command must be an array'],
    [jobspec(slot, task.replace('["app"]', '[1]')), 'tasks[0].command must be a string'],
    [jobspec(slot, task.replace('"task"', '1')), 'tasks[0].slot must be a string'],
    [jobspec(slot, task.replace('per_slot', 'per_resource')), 'tasks[0].count must have one key, per_slot or total'],
    [jobspec(slot, task.replace(':1}', ':0}')), 'tasks[0].count.per_slot must be at least 1'],
    [jobspec(slot, task, ''), 'attributes.system.duration is a required key'],
    [jobspec(slot, task, '"duration":"1h"'), 'attributes.system.duration must be a number'],
    [jobspec(slot, task, '"duration":0,"dependencies":{}'), 'attributes.system.dependencies must be an array'],
    [
      jobspec(slot, task, '"duration":0,"dependencies":[{"scheme":"after"}]'),
      'attributes.system.dependencies[0].value is a required key',
    ],
    [jobspec(slot, task, '"duration":0,"constraints":{"frob":[]}'), 'unknown constraint operator: frob'],
  ];
  for (const [value, sentence] of rows)
    assert.throws(
      () => validateJobspec(value),
      (error) => error instanceof FluxError && error.code === 'EINVAL' && error.message === sentence,
      sentence,
    );
});

test('the hosts of constraints', () => {
  const constraints = '{"and":[{"hostlist":["a[1-2]","b"]},{"not":[{"hostlist":["c"]}]},{"ranks":["0"]}]}';
  const hosts = constrainedHosts(jobspec(slot, task, `"duration":0,"constraints":${constraints}`));
  assert.deepEqual(
    hosts.map((list) => list.encode()),
    ['a[1-2]', 'b', 'c'],
  );
  assert.deepEqual(constrainedHosts(jobspec()), []);
});
