// The module job-ingest: what is refused, what is stored and announced, in batches, under which ids.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FluxError } from '../../../core/errno.ts';
import { wrapUnsigned } from '../../../core/formats/job-envelope.ts';
import type { JsonObject, JsonValue } from '../../../core/json.ts';
import { refused } from '../../errors.ts';
import { Fixture, guest, jobspec, OWNER, owner, submission } from './fixture.ts';

// ---- what is refused

const header = (text: string) => Buffer.from(text.replaceAll(' ', '\0')).toString('base64');
const payload = Buffer.from(JSON.stringify(jobspec())).toString('base64');
const good = header(`version i1 userid i${OWNER} mechanism snone `);
const notUtf8 = Buffer.from('7bff7d', 'hex').toString('base64');
const cannotUnwrap = /^could not unwrap jobspec: Invalid argument/;
const cannotDecode = /^error decoding job request: Protocol error$/;

describe('a request to submit', () => {
  const rows: [name: string, request: JsonValue, errno: string, text: RegExp, user?: typeof guest][] = [
    ['no object', [1], 'EPROTO', cannotDecode],
    ['nothing in it', {}, 'EPROTO', cannotDecode],
    ['no J', { urgency: 16, flags: 0 }, 'EPROTO', cannotDecode],
    ['a J that is no text', { J: 1, urgency: 16, flags: 0 }, 'EPROTO', cannotDecode],
    ['no urgency', { J: '', flags: 0 }, 'EPROTO', cannotDecode],
    ['half an urgency', { J: '', urgency: 16.5, flags: 0 }, 'EPROTO', cannotDecode],
    ['unknown flags', submission(jobspec(), { flags: 1 }), 'EPROTO', /^invalid job flags$/],
    ['unknown flags beside known ones', submission(jobspec(), { flags: 16 | 2 }), 'EPROTO', /^invalid job flags$/],
    ['urgency below the range', submission(jobspec(), { urgency: -1 }), 'EINVAL', /^urgency range is \[0:31\]$/],
    ['urgency above the range', submission(jobspec(), { urgency: 32 }), 'EINVAL', /^urgency range is \[0:31\]$/],
    ['a guest without validation', submission(jobspec(), { flags: 8 }), 'EPERM', /NOVALIDATE/, guest],
    ['a guest in a hurry', submission(jobspec(), { urgency: 17 }), 'EINVAL', /with urgency >16$/, guest],
    ['a guest who wants to wait', submission(jobspec(), { flags: 4 }), 'EINVAL', /FLUX_JOB_WAITABLE$/, guest],
    ['an envelope of another', submission(jobspec(), {}, 4242), 'EPERM', /^signer=4242 != requestor=100$/],
    ['an envelope of a guest', submission(jobspec(), {}, 200), 'EPERM', /^only instance owner can use/, guest],
    ['a guest as the owner', submission(jobspec()), 'EPERM', /^signer=100 != requestor=200$/, guest],
    ['no envelope', { J: 'hello', urgency: 16, flags: 0 }, 'EINVAL', cannotUnwrap],
    ['two parts', { J: `${good}.${payload}`, urgency: 16, flags: 0 }, 'EINVAL', cannotUnwrap],
    ['another mechanism', { J: `${good}.${payload}.munge`, urgency: 16, flags: 0 }, 'EINVAL', cannotUnwrap],
    ['four parts', { J: `${good}.${payload}.none.x`, urgency: 16, flags: 0 }, 'EINVAL', cannotUnwrap],
    ['an empty header', { J: `.${payload}.none`, urgency: 16, flags: 0 }, 'EINVAL', cannotUnwrap],
    ['a payload that is no base64', { J: `${good}.%%%%.none`, urgency: 16, flags: 0 }, 'EINVAL', cannotUnwrap],
    ['base64url', { J: `${good}.e30_.none`, urgency: 16, flags: 0 }, 'EINVAL', cannotUnwrap],
    ...[
      'version i2 userid i100 mechanism snone ',
      'version i1 userid i100 ',
      'version i1 mechanism snone ',
      'version i1 userid i-1 mechanism snone ',
      'version i1 userid i4294967296 mechanism snone ',
      'version i1 userid i100x mechanism snone ',
      'version i1 userid i100 mechanism smunge ',
      'version i1 userid i100 mechanism snone other ',
      'version i1 userid i100 mechanism snone other sx ',
    ].map((text): [string, JsonValue, string, RegExp] => [
      `the header ${text}`,
      { J: `${header(text)}.${payload}.none`, urgency: 16, flags: 0 },
      'EINVAL',
      cannotUnwrap,
    ]),
    ['no jobspec', wrapped(''), 'EINVAL', /^jobspec: invalid JSON: '\[' or '\{' expected near end of file$/],
    ['a word', wrapped('not json'), 'EINVAL', /^jobspec: invalid JSON: '\[' or '\{' expected near 'not'$/],
    ['a number', wrapped('1'), 'EINVAL', /^jobspec: invalid JSON: '\[' or '\{' expected near '1'$/],
    ['a bad member', wrapped('{not json'), 'EINVAL', /^jobspec: invalid JSON: string or '\}' expected near 'not'$/],
    ['no end', wrapped('{"a":1'), 'EINVAL', /^jobspec: invalid JSON: '\}' expected near end of file$/],
    ['too deep', wrapped('['.repeat(2100) + ']'.repeat(2100)), 'EINVAL', /maximum parsing depth reached/],
    ['no UTF-8', { ...submission({}), J: `${good}.${notUtf8}.none` }, 'EINVAL', /unable to decode/],
    ['an array', submission([]), 'EPERM', /^the jobspec must be an object$/],
    ['another version', submission({ ...jobspec(), version: 2 }), 'EPERM', /version must be 1/],
    ['an extra key', submission({ ...jobspec(), extra: 1 }), 'EPERM', /extra/],
    ['a duration that is a text', submission(jobspec({ duration: 'x' })), 'EPERM', /duration must be a number/],
  ];
  for (const [name, request, errno, text, user] of rows) {
    test(`${name}: ${errno}`, async () => {
      const module = await Fixture.start();
      const answer = await module.ask('submit', request as JsonObject, user ?? owner);
      assert.equal(answer.errno, errno, answer.text);
      assert.match(answer.text!, text);
      assert.deepEqual([module.announced, module.logs], [[], []]);
    });
  }
});

function wrapped(text: string): JsonObject {
  return { J: wrapUnsigned(text, OWNER), urgency: 16, flags: 0 };
}

test('root does not submit to an instance of another, unless that is allowed', async () => {
  const root = { userid: 0, rolemask: owner.rolemask };
  const request = submission(jobspec(), {}, 0);
  const refusing = await Fixture.start();
  assert.match((await refusing.ask('submit', request, root)).text!, /^submission of jobs as user root not supported$/);
  const allowing = await Fixture.start({ args: ['allow-root-jobs'] });
  assert.equal((await allowing.ask('submit', request, root)).errno, '');
  const own = await Fixture.start({ attributes: { 'security.owner': '0' } });
  assert.equal((await own.ask('submit', request, root)).errno, '');
});

// ---- what is stored and announced

test('a job is announced, with what is to be stored', async () => {
  const module = await Fixture.start();
  const spec = jobspec({ environment: { HOME: '/root' }, duration: 60.5 });
  const request = submission(spec, { urgency: 20, flags: 2 | 4 | 8 });
  const { payload: answer } = await module.ask('submit', request);
  const { id } = answer as { id: number };
  const [[job]] = module.announced as [[JsonObject]];
  const { t_submit, ...rest } = job;
  assert.ok(Number(t_submit) >= 1_800_000_000);
  assert.deepEqual(rest, { id, userid: OWNER, urgency: 20, flags: 14, jobspec: spec, J: request.J });
});

test('without validation anything that is JSON is taken', async () => {
  const module = await Fixture.start();
  for (const spec of [[], {}, { attributes: [] }, jobspec({ duration: 'x' })])
    assert.equal((await module.ask('submit', submission(spec, { flags: 8 }))).errno, '');
});

test('what comes in one round of messages is one announcement, unless it is too much', async () => {
  const module = await Fixture.start();
  const requests = Array.from({ length: 600 }, () => module.send('submit', submission(jobspec())));
  await module.settle();
  requests.push(module.send('submit', submission(jobspec())));
  await module.settle();
  assert.deepEqual(
    module.announced.map((jobs) => jobs.length),
    [512, 88, 1],
  );
  const ids = requests.map((matchtag) => (module.answer(matchtag)!.payload as { id: number }).id);
  assert.deepEqual(
    ids,
    [...new Set(ids)].sort((a, b) => a - b),
  );
});

test('batches are of a number of jobs when that is configured', async () => {
  const module = await Fixture.start({ config: { ingest: { 'batch-count': 3 } } });
  const requests = [1, 2, 3, 4].map(() => module.send('submit', submission(jobspec())));
  await module.settle();
  assert.deepEqual(
    module.announced.map((jobs) => jobs.length),
    [3],
  );
  assert.deepEqual(
    requests.map((matchtag) => module.answer(matchtag)?.errno),
    ['', '', '', undefined],
  );
});

test('what the job manager does not take is refused, and the others are taken', async () => {
  const module = await Fixture.start();
  module.refuse = (jobs) => ({ errors: [[jobs[1]!.id!, "'batch' is not a valid queue"]] });
  const [good, bad] = [module.send('submit', submission(jobspec())), module.send('submit', submission(jobspec()))];
  await module.settle();
  assert.equal(module.answer(good!)!.errno, '');
  assert.deepEqual(module.answer(bad!), { errno: 'EINVAL', text: "'batch' is not a valid queue", payload: undefined });
});

describe('when something fails, all jobs of the batch are told', () => {
  const rows: [name: string, broken: Partial<Fixture>, errno: string, text: RegExp][] = [
    [
      'the store',
      { refuse: (jobs) => ({ errors: jobs.map(({ id }) => [id!, 'it is full', 28]) }) },
      'ENOSPC',
      /^it is full$/,
    ],
    ['the job manager', { refuse: fail }, 'EIO', /^it is out of order$/],
    ['an answer that is none', { refuse: () => ({ errors: [['x', 1]] }) }, 'EPROTO', /batch response/],
    ['errors that are none', { refuse: () => ({ errors: 'x' }) }, 'EPROTO', /'errors' is not an array/],
  ];
  for (const [name, broken, errno, text] of rows) {
    test(name, async () => {
      const module = Object.assign(await Fixture.start(), broken);
      const requests = [1, 2].map(() => module.send('submit', submission(jobspec())));
      await module.settle();
      for (const matchtag of requests) {
        assert.equal(module.answer(matchtag)!.errno, errno);
        assert.match(module.answer(matchtag)!.text!, text);
      }
    });
  }
});

function fail(): never {
  throw new FluxError('EIO', 'it is out of order');
}

// ---- ids

test('ids go on behind the last job of an earlier life', async () => {
  const module = await Fixture.start({ maxJobid: 1000n << 24n });
  assert.deepEqual((await module.ask('getinfo')).payload, { timestamp: 1001 });
  const { payload } = await module.submit(jobspec());
  assert.equal((payload as { id: number }).id, Number(1001n << 24n));
  assert.equal((await module.ask('getinfo', undefined, guest)).errno, 'EPERM');
});

test('ids that no double holds are integers all the same', async () => {
  const module = await Fixture.start({ maxJobid: (2n ** 39n + 1n) << 24n });
  const { payload } = await module.submit(jobspec());
  assert.equal((payload as { id: bigint }).id, (2n ** 39n + 2n) << 24n);
});

test('rank 0 needs the job manager', () =>
  refused(Fixture.start({ maxJobid: undefined }), 'ENOSYS', /^job-manager must be loaded first$/));

test('another rank makes ids of its own, from where rank 0 is when it is first asked', async () => {
  const module = await Fixture.start({ rank: 3 });
  assert.deepEqual(module.requests, []);
  assert.match((await module.submit(jobspec())).text!, /^job-ingest must be loaded on rank 0 first$/);
  module.services.set('job-ingest.getinfo', () => ({ timestamp: 5000 }));
  const requests = [1, 2].map(() => module.send('submit', submission(jobspec())));
  await module.settle();
  const ids = requests.map((matchtag) => (module.answer(matchtag)!.payload as { id: number }).id);
  assert.deepEqual(ids.map(BigInt), [(5000n << 24n) | (3n << 10n), (5000n << 24n) | (3n << 10n) | 1n]);
  assert.equal(module.requests.filter(({ topic }) => topic === 'job-ingest.getinfo').length, 2);
});

test('ranks beyond the generators of ids hand on what is submitted there, as who submits it', async () => {
  for (const options of [{ rank: 16368 }, { rank: 3, args: ['max-fluid-generator-id=2'] }]) {
    const module = await Fixture.start(options);
    module.services.set('job-ingest.submit', () => ({ id: 7 }));
    assert.deepEqual((await module.submit(jobspec(), guest)).payload, { id: 7 });
    const [request] = module.requests;
    assert.deepEqual([request!.userid, request!.rolemask], [guest.userid, guest.rolemask]);
  }
});

// ---- the end

test('a module that is told to shut down takes nothing in, and one that stops answers what it has', async () => {
  const module = await Fixture.start();
  module.holdsAnswers = true;
  const request = module.send('submit', submission(jobspec()));
  await module.settle();
  assert.equal((await module.ask('shutdown')).errno, '');
  assert.equal((await module.submit(jobspec())).errno, 'ENOSYS');
  const stopping = module.host.stop();
  await module.release();
  await stopping;
  assert.equal(module.answer(request)!.errno, '');
});
