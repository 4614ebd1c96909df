/** The library: a handle to a broker, and instances started from a program. */

import type { StartOptions } from './node/prepare.ts';
import type { RunningInstance } from './start.ts';

export type { ModuleDefinition, Service, ServiceContext } from './broker/service.ts';
export { FluxError } from './errno.ts';
export {
  decodeEventlog,
  decodeEventlogEntry,
  type EventlogEntry,
  encodeEventlog,
  encodeEventlogEntry,
} from './formats/eventlog.ts';
export { CommitFlag, LookupFlag } from './formats/kvs-flags.ts';
export { type Treeobj, valBytes } from './formats/treeobj.ts';
export { Content, type ContentCheckpoint, type ContentOptions } from './handle/content.ts';
export {
  type EventQueue,
  Handle,
  type HandleOptions,
  type PublishOptions,
  type StreamOptions,
} from './handle/handle.ts';
export {
  type CommitOptions,
  createNamespace,
  Kvs,
  type KvsEntry,
  type KvsRoot,
  type LookupOptions,
  type LookupPlus,
  listNamespaces,
  type NamespaceEntry,
  type NamespaceOptions,
  type NamespaceRoot,
  removeNamespace,
  type SnapshotOptions,
} from './handle/kvs.ts';
export { KvsTransaction } from './handle/kvs-transaction.ts';
export { LATER, type Method, type Methods, type Reply, type Request } from './handle/methods.ts';
export type { Responses, RpcOptions, Stream } from './handle/rpc.ts';
export { type JsonObject, type JsonValue, Real } from './json.ts';
export { type Credentials, Role } from './message/credentials.ts';
export { Flag, Message, NODEID_ANY, NODEID_UPSTREAM, type Payload } from './message/message.ts';
export type { RunningInstance, StartOptions };

/** As `startInstance` of start.ts; a program that only connects does not load what an instance needs. */
export async function start(options: StartOptions = {}): Promise<RunningInstance> {
  const { startInstance } = await import('./start.ts');
  return startInstance(options);
}
