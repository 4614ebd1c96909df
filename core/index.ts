/** The library: a handle to a broker, and instances started from a program. */

import type { StartOptions } from './node/prepare.ts';
import type { RunningInstance } from './start.ts';

export type { ModuleDefinition, Service, ServiceContext } from './broker/service.ts';
export { FluxError } from './errno.ts';
export {
  type EventQueue,
  Handle,
  type HandleOptions,
  type PublishOptions,
  type StreamOptions,
} from './handle/handle.ts';
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
