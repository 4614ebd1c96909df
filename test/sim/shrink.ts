/** Finds a smaller plan that fails, too: with fewer faults, and with fewer actions. */

import { type Plan, runPlan } from './faulty-run.ts';

/** What is wrong with a plan; undefined when nothing is. */
export async function faultOf(plan: Plan): Promise<Error | undefined> {
  try {
    await runPlan(plan);
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

/** Faults are left out in halves, quarters and so on, for as long as it fails without them; then actions. */
export async function shrink(plan: Plan, attempts = 200): Promise<Plan> {
  let smallest = plan;
  let left = attempts;
  const tryInstead = async (candidate: Plan): Promise<boolean> => {
    if (left-- <= 0 || !(await faultOf(candidate))) return false;
    smallest = candidate;
    return true;
  };
  for (
    let step = Math.ceil(plan.faults.length / 2);
    step >= 1 && left > 0;
    step = step === 1 ? 0 : Math.ceil(step / 2)
  ) {
    for (let at = 0; at < smallest.faults.length; ) {
      const { faults } = smallest;
      const fewer = { ...smallest, faults: [...faults.slice(0, at), ...faults.slice(at + step)] };
      if (!(await tryInstead(fewer))) at += step;
    }
  }
  while (smallest.actions > 1 && (await tryInstead({ ...smallest, actions: Math.floor(smallest.actions / 2) })));
  return smallest;
}
