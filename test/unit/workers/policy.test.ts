// What [policy] and [queues] of the configuration may say (RFC 33): each rule with what keeps it and what breaks it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JsonObject, real, stringifyJson } from '../../../core/json.ts';
import { checkPolicies } from '../../../workers/config/policy.ts';
import { throwsCode } from '../../errors.ts';

const policy = (table: unknown) => ({ policy: table }) as JsonObject;
const queue = (table: unknown, more = {}) => ({ queues: { q: table }, ...more }) as JsonObject;
const defaults = (system: unknown, more = {}) =>
  ({ policy: { jobspec: { defaults: { system } } }, ...more }) as JsonObject;
const limits = (table: unknown) => policy({ limits: table });
const size = (bound: string, table: unknown) => limits({ 'job-size': { [bound]: table } });

for (const config of [
  {},
  { other: { policy: 5 } },
  policy({}),
  policy({ scheduler: { anything: [1] } }),
  defaults({ duration: '1.5h' }),
  defaults({ duration: 'infinity' }),
  defaults({ queue: 'q' }, { queues: { q: {} } }),
  limits({ duration: '10' }),
  size('max', { nnodes: 4, ncores: 0, ngpus: -1 }),
  size('min', { nnodes: 1 }),
  policy({ access: { 'allow-user': ['a', 'b'], 'allow-group': [] } }),
  queue({}),
  queue({ requires: ['batch', 'a-b_c.d'] }),
  { queues: { night: { parent: 'batch', policy: { limits: { duration: '8h' } } }, batch: { requires: ['b'] } } },
  defaults({ queue: 'night' }, { queues: { night: { parent: 'batch' }, batch: {} } }),
  queue({ policy: { limits: { duration: '1h', 'job-size': { max: { nnodes: 2 } } } } }),
  queue({ policy: { jobspec: { defaults: { system: { duration: '1h' } } } } }),
  { queues: { 'name.with.dots': { policy: { limits: { duration: '1h' } } } } },
] as JsonObject[]) {
  test(`allowed: ${stringifyJson(config)}`, () => assert.doesNotThrow(() => checkPolicies(config)));
}

for (const [config, text] of [
  [policy(5), /\[policy\] .*it is not a table/],
  [policy({ nosuch: {} }), /\[policy\] .*unknown key 'nosuch'/],
  [policy({ jobspec: 5 }), /\[policy\] .*'jobspec' is not an object/],
  [policy({ jobspec: { nosuch: {} } }), /\[policy\.jobspec\] .*'nosuch'/],
  [policy({ jobspec: { defaults: { nosuch: {} } } }), /\[policy\.jobspec\.defaults\] .*'nosuch'/],
  [defaults({ nosuch: 1 }), /\[policy\.jobspec\.defaults\.system\] .*'nosuch'/],
  [defaults({ queue: 5 }), /'queue' is not a string/],
  [defaults({ duration: 'forever' }), /\[policy\.jobspec\] .*'defaults\.system\.duration' is not a valid FSD/],
  [defaults({ duration: 5 }), /is not a valid FSD/],
  [defaults({ duration: real(5) }), /is not a valid FSD/],
  [limits({ duration: '-1s' }), /\[policy\.limits\] .*'duration' is not a valid FSD/],
  [limits({ duration: 60 }), /'duration' is not a valid FSD/],
  [limits({ nosuch: 1 }), /\[policy\.limits\] .*'nosuch'/],
  [limits({ 'job-size': { avg: {} } }), /\[policy\.limits\.job-size\] .*'avg'/],
  [size('max', { nnodes: -2 }), /\[policy\.limits\.job-size\.max\] .*values must be >= -1/],
  [size('min', { ngpus: -5 }), /\[policy\.limits\.job-size\.min\]/],
  [size('max', { nnodes: '4' }), /'nnodes' is not an integer/],
  [size('max', { nnodes: real(4) }), /'nnodes' is not an integer/],
  [size('max', { nslots: 4 }), /unknown key 'nslots'/],
  [policy({ access: { 'allow-user': 'a' } }), /\[policy\.access\] .*'allow-user' is not an array/],
  [policy({ access: { 'allow-user': ['a', 5] } }), /'allow-user' must be an array of strings/],
  [policy({ access: { 'allow-group': [null] } }), /'allow-group' must be an array of strings/],
  [policy({ access: { 'allow-other': [] } }), /unknown key 'allow-other'/],
  [{ queues: 5 }, /\[queues\] .*it is not a table/],
  [{ queues: [] }, /\[queues\] .*it is not a table/],
  [queue(5), /\[queues\.q\] .*it is not a table/],
  [queue({ nosuch: 5 }), /\[queues\.q\] .*unknown key 'nosuch'/],
  [queue({ requires: 'batch' }), /\[queues\.q\] .*'requires' is not an array/],
  [queue({ requires: [5] }), /\[queues\.q\] .*'requires' must be an array of strings/],
  [queue({ parent: 5 }), /\[queues\.q\] .*'parent' is not a string/],
  [queue({ parent: 'q' }), /\[queues\.q\] .*parent queue is itself/],
  [queue({ parent: 'p' }), /\[queues\.q\] .*parent queue 'p' is not configured/],
  [queue({ parent: 'constructor' }), /parent queue 'constructor' is not configured/],
  [queue({ requires: ['a'], parent: 'p' }), /\[queues\.q\] .*a virtual queue must not set 'requires'/],
  [queue({ policy: { scheduler: {} }, parent: 'p' }), /\[queues\.q\] .*must not set 'policy\.scheduler'/],
  [
    { queues: { q: { parent: 'p' }, p: { parent: 'o' }, o: {} } },
    /\[queues\.q\] .*parent queue 'p' is itself a virtual queue/,
  ],
  [queue({ policy: { limits: { duration: 'x' } } }), /\[queues\.q\.policy\.limits\] .*'duration'/],
  [
    queue({ policy: { limits: { 'job-size': { max: { nnodes: -2 } } } } }),
    /\[queues\.q\.policy\.limits\.job-size\.max\]/,
  ],
  [queue({ policy: { nosuch: {} } }), /\[queues\.q\.policy\] .*'nosuch'/],
  [
    queue({ policy: { jobspec: { defaults: { system: { queue: 'q' } } } } }),
    /\[queues\.q\.policy\] .*a queue cannot have a default queue/,
  ],
  [defaults({ queue: 'q' }), /default queue q that is not in \[queues\]/],
  [defaults({ queue: 'q' }, { queues: { other: {} } }), /default queue q/],
  [defaults({ queue: 'constructor' }, { queues: {} }), /default queue constructor/],
] as [JsonObject, RegExp][]) {
  test(`refused: ${stringifyJson(config)}`, () => throwsCode(() => checkPolicies(config), 'EINVAL', text));
}

for (const character of '!&\'"^`|()')
  test(`refused: a property that a queue requires with ${character}`, () =>
    throwsCode(() => checkPolicies(queue({ requires: ['fine', `a${character}b`] })), 'EINVAL', /'requires'/));
