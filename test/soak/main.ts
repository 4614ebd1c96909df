/** `npm run soak -- [--kills=N] [--seed=S] [--flux=PATH]`: the kill test, as long as one wants. */

import { parseArgs } from 'node:util';
import { flux } from '../e2e/instance.ts';
import { soakKills } from './kills.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    flux: { type: 'string', default: flux },
  },
});
console.log(`seed ${values.seed}`);
const seed = Number(values.seed);
const kills = Number(values.kills);
const totals = await soakKills({ flux: values.flux, kills, seed, report: console.log });
console.log(
  Object.entries(totals)
    .map(([what, count]) => `${what} ${count}`)
    .join(', '),
);
