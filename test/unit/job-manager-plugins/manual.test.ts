/** The examples of flux-jobtap-plugins(7) do what the page says. */

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { JobtapPlugin } from '../../../workers/job-manager/plugin.ts';
import { throwsCode } from '../../errors.ts';
import { FakeJobtap } from './fake-jobtap.ts';

const page = fs.readFileSync('docs/man/flux-jobtap-plugins.md', 'utf8');
const examples = [...page.matchAll(/^```\n(export default .*?)^```$/gms)].map(([, text]) => text!);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-jobtap-examples-'));
after(() => fs.rmSync(folder, { recursive: true }));

async function example(index: number): Promise<JobtapPlugin> {
  const file = path.join(folder, `example${index}.mjs`);
  fs.writeFileSync(file, examples[index]!);
  return ((await import(pathToFileURL(file).href)) as { default: JobtapPlugin }).default;
}

test('jobs of certain names are refused', async () => {
  const jobtap = new FakeJobtap(await example(0), {}, { words: ['test'] });
  const named = (name: string) => ({ system: { job: { name } } });
  jobtap.submit(named('other'));
  jobtap.submit();
  throwsCode(() => jobtap.submit(named('test')), 'EINVAL', /^jobs may not be called test$/);
  assert.deepEqual(jobtap.hooks.query!(), { words: ['test'], refused: 1 });
});

test('jobs wait until their data have arrived', async () => {
  const jobtap = new FakeJobtap(await example(1));
  const data = (value: unknown) => ({ system: { dependencies: [{ scheme: 'data', value }] } }) as never;
  jobtap.submit(data('a'));
  const gone = jobtap.submit(data('a'));
  jobtap.submit(data('b'));
  jobtap.cancel(gone);
  jobtap.take();
  assert.deepEqual(jobtap.call('arrived', { name: 'a' }), { released: 1 });
  assert.deepEqual(jobtap.take(), ['remove 1 data=a']);
  assert.deepEqual(jobtap.call('arrived', { name: 'a' }), { released: 0 });
  throwsCode(() => jobtap.submit(data(5)), 'EINVAL', /^data needs a name$/);
});
