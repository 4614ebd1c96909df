/** `npm run soak -- [--jobs] [--kills=N] [--seed=S] [--flux=PATH]`: the kill tests, as long as one wants. */

import { parseArgs } from 'node:util';
import { flux } from '../e2e/instance.ts';
import { soakJobKills } from './job-kills.ts';
import { soakKills } from './kills.ts';

const { values } = parseArgs({
  options: {
    jobs: { type: 'boolean', default: false },
    kills: { type: 'string', default: '200' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    flux: { type: 'string', default: flux },
  },
});
console.log(`seed ${values.seed}`);
const soak = values.jobs ? soakJobKills : soakKills;
const options = { flux: values.flux, kills: Number(values.kills), seed: Number(values.seed), report: console.log };
console.log(
  Object.entries(await soak(options))
    .map(([what, count]) => `${what} ${count}`)
    .join(', '),
);
