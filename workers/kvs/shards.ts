/**
 * The KVS on several threads: each has the namespaces whose names hash to it, and is a module of its own, `kvs-0`,
 * `kvs-1` …. The module `kvs` stands before them: it loads and removes them, and each request goes on to the one that has its
 * namespace.
 */

import type { Module } from '../../core/broker/module.ts';
import type { ModuleDefinition, ServiceContext } from '../../core/broker/service.ts';
import type { FluxError } from '../../core/errno.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { Role } from '../../core/message/credentials.ts';
import { type Message, MessageType } from '../../core/message/message.ts';
import { isObject } from '../../core/message/unpack.ts';
import { kvsShard } from '../../core/node/plan.ts';
import { bucketOf } from './hashed-directory.ts';
import { PRIMARY } from './namespaces.ts';

/** Which of so many shards has a namespace. */
export function shardOf(namespace: string, shards: number): number {
  return bucketOf(namespace, 0, shards);
}

/** Methods of one shard, by the namespace that the request names. */
const shardMethods: ReadonlySet<string> = new Set([
  'commit',
  'fence',
  'lookup',
  'lookup-plus',
  'getroot',
  'wait-version',
  'namespace-create',
  'namespace-remove',
  'setroot-pause',
  'setroot-unpause',
]);

/** How flux-core's clients begin a payload. */
const USUAL_HEAD = Buffer.from('{"namespace":"');
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** The namespace that a request names, without parsing what follows it; the primary one when it names none. */
export function namespaceOf(request: Message): string {
  const { bytes } = request;
  if (bytes && bytes.length > USUAL_HEAD.length && USUAL_HEAD.compare(bytes, 0, USUAL_HEAD.length) === 0) {
    const end = bytes.indexOf(QUOTE, USUAL_HEAD.length);
    const name = bytes.subarray(USUAL_HEAD.length, end);
    if (end > 0 && !name.includes(BACKSLASH)) return Buffer.from(name).toString();
  }
  const payload = jsonOf(request);
  const namespace = isObject(payload) ? payload.namespace : undefined;
  return typeof namespace === 'string' ? namespace : PRIMARY;
}

/** A payload that is no JSON is for the shard to refuse. */
function jsonOf(request: Message): JsonValue | undefined {
  try {
    return request.json;
  } catch {
    return undefined;
  }
}

/** Hands requests to the shards that are to answer them; says whether it has. */
export function dispatcher(shards: number, find: (name: string) => Module | undefined): (message: Message) => boolean {
  const send = (shard: number, message: Message): boolean => {
    const module = find(kvsShard(shard));
    module?.send(message);
    return module !== undefined;
  };
  return (message) => {
    if (message.type !== MessageType.request) return false;
    const { topic = '' } = message;
    const method = topic.slice(topic.indexOf('.') + 1);
    if (method === 'disconnect') for (let shard = 0; shard < shards; shard++) send(shard, message.clone());
    return shardMethods.has(method) && send(shardOf(namespaceOf(message), shards), message);
  };
}

/** The module that stands before the shards. */
export function shardedKvs(shards: number): ModuleDefinition {
  const names = Array.from({ length: shards }, (_, shard) => kvsShard(shard));
  return {
    async start(context, args) {
      for (const path of names) await context.rpc('module.load', { path, args: [...args] });
      return {
        methods: {
          'namespace-list': {
            handler: async () => ({
              namespaces: (await askAll(context, names, 'namespace-list')).flatMap(
                ({ namespaces }) => namespaces as JsonObject[],
              ),
            }),
          },
          'stats-get': {
            allow: Role.all,
            handler: async () => joinStats(names, await askAll(context, names, 'stats-get')),
          },
          'stats-clear': {
            handler: async () => {
              await askAll(context, names, 'stats-clear');
              return undefined;
            },
          },
          disconnect: { allow: Role.all, handler: () => undefined },
        },
        async stop() {
          for (const name of [...names].reverse())
            await context.rpc('module.remove', { name }).catch((error: FluxError) => {
              if (error.code !== 'ENOENT') throw error;
            });
        },
      };
    },
  };
}

async function askAll(context: ServiceContext, names: readonly string[], method: string): Promise<JsonObject[]> {
  const answers = await Promise.all(names.map((name) => context.rpc(`${name}.${method}`)));
  return answers.map((answer) => (isObject(answer) ? answer : {}));
}

/** Statistics of each shard by its name. */
function joinStats(names: readonly string[], stats: readonly JsonObject[]): JsonObject {
  return Object.fromEntries(names.map((name, i) => [name, stats[i]!]));
}
