/** How long work takes, whatever else the machine does meanwhile. */

/** Seconds of processor time that a function takes; a test file has a process of its own. */
export function cpuSeconds(work: () => void): number {
  const start = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1e6;
}
