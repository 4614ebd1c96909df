/** What Node lacks, by the native addon where it is there; see README.md. */

export { nativeStatus } from './addon.ts';
export { type PeerCredentials, peerCredentials } from './credentials.ts';
export { findLimit, getLimit, type LimitName, limitNames, readLimit } from './limits.ts';
export { trimMemory } from './memory.ts';
export { findPackageFile } from './package-file.ts';
export { openPmi, PmiClient } from './pmi.ts';
export { pmiLibraryPath } from './prebuilt.ts';
export {
  type Process,
  type ProcessEvents,
  type ProcessSpec,
  type ProcessUsage,
  type SoftLimit,
  SpawnError,
  type SpawnStep,
  type Stdio,
  type WindowSize,
} from './process.ts';
export { spawnProcess, spawnProcessSoon, takeStopped } from './processes.ts';
export { canYield, yieldProcessor } from './processor.ts';
export { type Rusage, type RusageSubject, rusage } from './rusage.ts';
export { writeSyslog } from './syslog.ts';
export {
  type CpuTopology,
  coreCpus,
  countCoresAndGpus,
  countGpus,
  cpuTopology,
  type HwlocOptions,
  type HwlocTopology,
  hwloc,
  type Topology,
  topology,
} from './topology.ts';
export { findUser, type User } from './users.ts';
