// What jobs go through before job-ingest takes them in: defaults and constraints of queues, validators, plugins in files,
// and the configuration of all that.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FluxError } from '../../../core/errno.ts';
import type { PluginCall, PluginOutcome } from '../../../core/handle/ingest-plugin.ts';
import { type JsonObject, type JsonValue, parseJson, Real, stringifyJson } from '../../../core/json.ts';
import { refused } from '../../errors.ts';
import { Fixture, guest, jobspec, submission } from './fixture.ts';

/** `attributes.system` of the first jobspec that the job manager was told. */
function announced(module: Fixture): JsonObject {
  const { attributes } = module.announced[0]![0]!.jobspec as JsonObject;
  return (attributes as JsonObject).system as JsonObject;
}

// ---- frobnicators

const defaults = (system: JsonObject) => ({ policy: { jobspec: { defaults: { system } } } });
const queues = {
  debug: { requires: ['fast', 'near'], ...defaults({ duration: '1h' }) },
  batch: {},
  virtual: { parent: 'debug', ...defaults({ bank: 'b' }) },
  lost: { parent: 'nowhere' },
};

describe('what the configuration adds to a jobspec', () => {
  const rows: [string, config: JsonObject, before: JsonObject, after: JsonObject][] = [
    ['a duration', defaults({ duration: '10m' }), {}, { duration: new Real(600) }],
    ['a duration for 0.0', defaults({ duration: '1.5s' }), { duration: new Real(0) }, { duration: 1.5 }],
    ['no duration where there is one', defaults({ duration: '10m' }), { duration: 5 }, { duration: 5 }],
    ['other attributes', defaults({ a: { b: 1 }, c: 2 }), { c: 3 }, { duration: 0, c: 3, a: { b: 1 } }],
    [
      'a queue, with its defaults and constraints',
      { ...defaults({ queue: 'debug', duration: '1m' }), queues },
      {},
      { duration: new Real(3600), queue: 'debug', constraints: { properties: ['fast', 'near'] } },
    ],
    ['nothing for a queue without settings', { queues }, { queue: 'batch' }, { duration: 0, queue: 'batch' }],
    [
      'what a queue inherits',
      { queues },
      { queue: 'virtual' },
      { duration: new Real(3600), queue: 'virtual', bank: 'b', constraints: { properties: ['fast', 'near'] } },
    ],
    [
      'properties to those that a job wants',
      { queues },
      { queue: 'debug', duration: 1, constraints: { properties: ['near', 'own'] } },
      { queue: 'debug', duration: 1, constraints: { properties: ['near', 'own', 'fast'] } },
    ],
    [
      'properties to other constraints',
      { queues },
      { queue: 'debug', duration: 1, constraints: { ranks: ['0'] } },
      { queue: 'debug', duration: 1, constraints: { and: [{ ranks: ['0'] }, { properties: ['fast', 'near'] }] } },
    ],
    [
      'nothing when it is disabled',
      { ...defaults({ duration: '10m' }), ingest: { frobnicator: { disable: true } } },
      {},
      { duration: 0 },
    ],
    [
      'defaults alone when they are configured alone',
      { queues, ingest: { frobnicator: { plugins: ['defaults'] } } },
      { queue: 'debug' },
      { queue: 'debug', duration: new Real(3600) },
    ],
  ];
  for (const [name, config, before, after] of rows) {
    test(name, async () => {
      const module = await Fixture.start({ config });
      const request = submission({});
      const text = stringifyJson(jobspec(before));
      const { errno, text: fault } = await module.ask('submit', { ...request, J: wrap(text) });
      assert.equal(errno, '', fault);
      assert.deepEqual(announced(module), after);
    });
  }
});

describe('what cannot be added is why a job is refused', () => {
  const rows: [string, config: JsonObject, spec: JsonValue, text: RegExp][] = [
    ['no queue', { queues }, jobspec(), /^no queue specified$/],
    ['an unknown queue', { queues }, jobspec({ queue: 'nope' }), /^Invalid queue 'nope' specified$/],
    ['a queue that is no name', { queues }, jobspec({ queue: 5 }), /^Invalid queue '5' specified$/],
    ['a queue called as what objects have', { queues }, jobspec({ queue: 'toString' }), /^Invalid queue 'toString'/],
    [
      'a lost parent',
      { queues },
      jobspec({ queue: 'lost' }),
      /^queue 'lost': parent queue 'nowhere' is not configured$/,
    ],
    ['no object', { queues }, [], /^invalid jobspec/],
    ['no attributes', { queues }, {}, /^invalid jobspec: attributes must be a mapping$/],
    ['a system that is none', { queues }, { attributes: { system: 1 } }, /^invalid jobspec: attributes.system/],
  ];
  for (const [name, config, spec, text] of rows) {
    test(name, async () => {
      const module = await Fixture.start({ config });
      const answer = await module.submit(spec);
      assert.equal(answer.errno, 'EPERM');
      assert.match(answer.text!, text);
    });
  }
});

// ---- validators

const validator = (table: JsonObject) => ({ ingest: { validator: table } });

test('hosts that the instance does not have are refused', async () => {
  const module = await Fixture.start({ attributes: { hostlist: 'node[0-3]' } });
  const ask = (hosts: string) => module.submit(jobspec({ constraints: { hostlist: [hosts] } }));
  assert.equal((await ask('node[1-2]')).errno, '');
  assert.deepEqual([(await ask('node4')).errno], ['EPERM']);
});

test('nothing is validated where that is disabled', async () => {
  for (const options of [{ config: validator({ disable: true }) }, { args: ['disable-validator'] }]) {
    const module = await Fixture.start(options);
    assert.equal((await module.submit({})).errno, '');
  }
});

test('a scheduler is asked whether a job is feasible, where that is configured', async () => {
  const module = await Fixture.start({ config: validator({ plugins: ['jobspec', 'feasibility'] }) });
  assert.equal((await module.submit(jobspec())).errno, '', 'there is no scheduler');
  module.services.set('feasibility.check', () => undefined);
  assert.equal((await module.submit(jobspec({ duration: 7 }))).errno, '');
  assert.deepEqual(module.requests.find(({ topic, json }) => topic === 'feasibility.check' && json)!.json, {
    jobspec: jobspec(),
    userid: 100,
    rolemask: 1,
    urgency: 16,
    flags: 0,
  });
  module.services.set('feasibility.check', () => {
    throw new FluxError('EOVERFLOW', 'unsatisfiable request: need 9999 slot(s) of 1 core(s)');
  });
  const answer = await module.submit(jobspec());
  assert.deepEqual([answer.errno, answer.text?.slice(0, 13)], ['EOVERFLOW', 'unsatisfiable']);
  assert.equal((await module.submit(jobspec({ duration: 'x' }))).errno, 'EPERM');
});

describe('large jobs must be instances where that is configured', () => {
  const nodes = (count: number, command = ['true'], system: JsonObject = {}): JsonObject => {
    const slot = { type: 'slot', count: 2, label: 'task', with: [{ type: 'core', count: 3 }] };
    return { ...jobspec(system, command), resources: [{ type: 'node', count, with: [slot] }] };
  };
  const refusal = (which: string) =>
    `Direct job submission disabled ${which}. Please use flux-batch(1) or flux-alloc(1)`;
  const rows: [string, table: JsonObject, args: string[], spec: JsonObject, text: string | undefined][] = [
    ['any', {}, [], jobspec(), refusal('for all jobs in this instance')],
    ['few nodes', { minnodes: 3 }, [], nodes(2), undefined],
    ['enough nodes', { minnodes: 3 }, [], nodes(3), refusal('for jobs >= 3 nodes or 48 cores')],
    ['few cores', { mincores: 13 }, [], nodes(2), undefined],
    ['enough cores', { mincores: 12 }, [], nodes(2), refusal('for jobs >= 12 cores')],
    [
      'by arguments',
      {},
      ['--require-instance-minnodes=1', '--require-instance-mincores', '5'],
      nodes(1),
      refusal('for jobs >= 1 nodes or 5 cores'),
    ],
    ['a batch script', {}, [], nodes(1, ['script'], { batch: {} }), undefined],
    ['flux start', {}, [], nodes(1, ['/usr/bin/flux', 'start']), undefined],
    ['flux broker', {}, [], nodes(1, ['flux', 'broker']), undefined],
    ['another command of flux', {}, [], nodes(1, ['flux', 'ping']), refusal('for all jobs in this instance')],
  ];
  for (const [name, table, args, spec, text] of rows) {
    test(name, async () => {
      const config = validator({ plugins: ['require-instance'], args, 'require-instance': table });
      const answer = await (await Fixture.start({ config })).submit(spec);
      assert.deepEqual([answer.errno, answer.text], text ? ['EINVAL', text] : ['', undefined]);
    });
  }
});

// ---- plugins in files

describe('a plugin in a file', () => {
  const config = {
    ...validator({ plugins: ['jobspec', '/p/check.mjs'], args: ['--own=1', '--require-version=any'] }),
    x: 1,
  };

  test('is asked about each job that the validators before it let pass', async () => {
    const module = await Fixture.start({ config });
    assert.equal((await module.submit({})).errno, 'EPERM');
    assert.equal(module.calls.length, 0);
    assert.equal((await module.submit(jobspec())).errno, '');
    const [call] = module.calls;
    assert.deepEqual(
      { ...call!, job: parseJson(call!.job), config: parseJson(call!.config) },
      {
        kind: 'validate',
        file: '/p/check.mjs',
        args: ['--own=1', '--require-version=any'],
        config,
        job: { jobspec: jobspec(), userid: 100, rolemask: 1, urgency: 16, flags: 0 },
      },
    );
  });

  test('says why a job is refused', async () => {
    const module = await Fixture.start({ config });
    module.plugin = async () => ({ errnum: 27, errstr: 'no' });
    const { errno, text } = await module.submit(jobspec());
    assert.deepEqual([errno, text], ['EFBIG', 'no']);
  });

  test('that takes too long is ended, and meanwhile others go on', async () => {
    const module = await Fixture.start({ config });
    module.plugin = (call, signal) =>
      call.job.includes('loop')
        ? new Promise<PluginOutcome>((resolve) =>
            signal.addEventListener('abort', () => resolve({ errnum: 110, errstr: 'it took too long' })),
          )
        : Promise.resolve({ errnum: 0 });
    const looping = module.send('submit', submission(jobspec({}, ['loop'])));
    assert.equal((await module.submit(jobspec())).errno, '');
    assert.equal(module.answer(looping), undefined);
    const { pipeline } = (await module.ask('stats-get', undefined, guest)).payload as { pipeline: JsonObject };
    assert.deepEqual(pipeline.validator, { running: 0, requests: 2, errors: 0, trash: 0, backlog: 1, pids: [] });
    assert.ok(module.agenda.step());
    await module.settle();
    assert.deepEqual([module.agenda.time, module.answer(looping)!.errno], [10, 'ETIMEDOUT']);
    assert.deepEqual(module.agenda.timerOwners(), []);
  });

  test('is not handed more than the buffer holds', async () => {
    const module = await Fixture.start({ config: { ingest: { ...config.ingest, 'buffer-size': '1k' } } });
    const waiting: ((outcome: PluginOutcome) => void)[] = [];
    module.plugin = () => new Promise((resolve) => void waiting.push(resolve));
    const requests = [1, 2, 3, 4, 5].map(() => module.send('submit', submission(jobspec())));
    await module.settle();
    assert.ok(waiting.length > 1 && waiting.length < 5);
    assert.deepEqual(module.answer(requests[4]!)!.errno, 'ENOSPC');
    for (const resolve of waiting) resolve({ errnum: 0 });
    await module.settle();
    assert.equal(module.answer(requests[0]!)!.errno, '');
  });

  test('makes another jobspec of one', async () => {
    const frobnicator = { plugins: ['/p/one.mjs', 'defaults'] };
    const module = await Fixture.start({ config: { ingest: { frobnicator }, ...defaults({ duration: '1m' }) } });
    module.plugin = async ({ kind, job }: PluginCall) => {
      assert.equal(kind, 'frob');
      return {
        errnum: 0,
        jobspec: stringifyJson((parseJson(job) as JsonObject).jobspec!).replace('{"duration"', '{"x":2.0,"duration"'),
      };
    };
    assert.equal((await module.submit(jobspec())).errno, '');
    assert.deepEqual(announced(module), { x: new Real(2), duration: new Real(60) });
  });
});

// ---- settings

describe('a configuration that is none is refused, and the one before stays', () => {
  const rows: [JsonObject, RegExp][] = [
    [{ ingest: 1 }, /error reading \[ingest\] config table: the payload is not a JSON object/],
    [{ ingest: { 'batch-count': 'x' } }, /error reading \[ingest\] config table: .*batch-count/],
    [{ ingest: { 'buffer-size': 'x' } }, /^Invalid buffer-size: 'x'$/],
    [{ ingest: { 'buffer-size': '2G' } }, /^Invalid buffer-size: '2G'$/],
    [{ ingest: { validator: [] } }, /error reading \[ingest.validator\] config table/],
    [validator({ plugins: 'jobspec' }), /^error in \[ingest.validator\] plugins array$/],
    [validator({ args: [1] }), /^error in \[ingest.validator\] args array$/],
    [validator({ plugins: ['nope'] }), /^validator plugin 'nope' not found$/],
    [validator({ plugins: ['/p/x.py'] }), /^validator plugin '\/p\/x.py' not found$/],
    [validator({ args: ['--nope'] }), /unknown option '--nope'/],
    [validator({ args: ['--require-version=2'] }), /^Invalid argument to --require-version$/],
    [validator({ plugins: ['require-instance'], 'require-instance': { minnodes: 'x' } }), /minnodes is no integer/],
    [{ ingest: { frobnicator: { plugins: ['nope'] } } }, /^frobnicator plugin 'nope' not found$/],
  ];
  for (const [config, text] of rows) {
    test(JSON.stringify(config), async () => {
      const module = await Fixture.start({ config: validator({ disable: true }) });
      const answer = await module.ask('config-reload', config);
      assert.equal(answer.errno, 'EINVAL');
      assert.match(answer.text!, text);
      assert.equal((await module.submit({})).errno, '', 'the old one has no validator');
      await refused(Fixture.start({ config }), 'EINVAL', text);
    });
  }
});

test('a new configuration is for the jobs that come from now on', async () => {
  const module = await Fixture.start();
  assert.equal((await module.ask('config-reload', { queues })).errno, '');
  assert.equal((await module.submit(jobspec())).text, 'no queue specified');
  assert.equal((await module.ask('config-reload', validator({ disable: true }))).errno, '');
  assert.equal((await module.submit({})).errno, '');
  assert.equal((await module.ask('config-reload', {}, guest)).errno, 'EPERM');
});

describe('arguments', () => {
  const rows: [string, RegExp][] = [
    ['nope', /^Invalid option: nope$/],
    ['nope=1', /^Invalid option: nope=1$/],
    ['batch-count=x', /^Invalid batch-count: batch-count=x$/],
    ['batch-count=-1', /^Invalid batch-count/],
    ['buffer-size=much', /^Invalid buffer-size: 'much'$/],
    ['max-fluid-generator-id=16384', /^Invalid max-fluid-generator-id: '16384'$/],
    ['validator-plugins=nope', /^validator plugin 'nope' not found$/],
    ['validator-args=--nope', /unknown option '--nope'/],
  ];
  for (const [arg, text] of rows) test(arg, () => refused(Fixture.start({ args: [arg] }), 'EINVAL', text));

  test('they go before the configuration', async () => {
    const config = { ingest: { 'batch-count': 7, validator: { plugins: ['nope'] } } };
    const module = await Fixture.start({
      config,
      args: ['batch-count=1', 'buffer-size=20M', 'validator-plugins=jobspec'],
    });
    assert.equal((await module.submit(jobspec())).errno, '');
  });
});

function wrap(text: string): JsonValue {
  const envelope = String(submission({}).J);
  return `${envelope.slice(0, envelope.indexOf('.'))}.${Buffer.from(text).toString('base64')}.none`;
}
