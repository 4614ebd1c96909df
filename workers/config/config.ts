/**
 * The module `config`: the instance's configuration. Rank 0 changes it; the others follow their parent's.
 *
 * Every module of a rank is asked to take a new configuration. If one refuses, those that took it get the old one back
 * and the whole change fails with what that module said.
 */

import type { ModuleDefinition, ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { LATER } from '../../core/handle/methods.ts';
import { endingMethods, RequestList } from '../../core/handle/request-list.ts';
import { untilEnd } from '../../core/handle/rpc.ts';
import { type JsonObject, stringifyJson } from '../../core/json.ts';
import { Role } from '../../core/message/credentials.ts';
import { Flag, type Message, NODEID_UPSTREAM } from '../../core/message/message.ts';
import { isObject } from '../../core/message/unpack.ts';
import { checkPolicies } from './policy.ts';

export interface ConfigHost {
  /** Names of the modules of this rank. */
  modules(): string[];
  /** The broker itself takes a configuration that all modules took. */
  accept(config: JsonObject): void;
  /** Takes what follows the parent, to be called when the parent can be asked. */
  onSync(follow: () => Promise<void>): void;
  /** Reads the configuration's files anew; undefined when there are none. */
  readFiles(): JsonObject | undefined;
}

export function configModule(host: ConfigHost): ModuleDefinition {
  return {
    start(context) {
      const getters = new RequestList();
      const update = async (config: JsonObject): Promise<void> => {
        if (stringifyJson(config) === stringifyJson(context.config)) return;
        const old = context.config;
        await updateModules(context, host.modules(), old, config);
        host.accept(config);
        getters.respondAll(config);
      };
      const checkLeader = () => {
        if (context.rank > 0) throw new FluxError('EINVAL', 'configuration can only be changed on rank 0');
      };
      if (context.rank > 0) host.onSync(() => followParent(context, update));
      return {
        methods: {
          get: {
            allow: Role.user,
            handler(request) {
              request.respond(context.config);
              if (request.isStreaming) getters.add(request);
              return LATER;
            },
          },
          load: {
            async handler(request) {
              if (!isObject(request.payload)) throw new FluxError('EPROTO', 'error decoding config.load request');
              checkLeader();
              await update(request.payload);
              return undefined;
            },
          },
          reload: {
            async handler() {
              checkLeader();
              const config = host.readFiles();
              if (config) await update(config);
              return undefined;
            },
          },
          disconnect: endingMethods(Role.user, getters).disconnect,
        },
        configure: checkPolicies,
      };
    },
  };
}

/** Gives every module the new configuration, or all the old one. */
async function updateModules(
  context: ServiceContext,
  modules: readonly string[],
  old: JsonObject,
  config: JsonObject,
): Promise<void> {
  const updated: string[] = [];
  for (const name of modules) {
    try {
      await context.rpc(`${name}.config-reload`, config);
      updated.push(name);
    } catch (error) {
      if ((error as FluxError).code === 'ENOSYS') continue;
      for (const each of updated) {
        await context
          .rpc(`${each}.config-reload`, old)
          .catch((fault: FluxError) => context.log('err', `error reverting ${each}: ${fault.message}`));
      }
      const { errno: number, message } = error as FluxError;
      throw new FluxError(number, `error updating ${name}: ${message}`);
    }
  }
}

/** Resolves once the configuration that the parent has now is taken; goes on with those that follow. */
function followParent(context: ServiceContext, update: (config: JsonObject) => Promise<void>): Promise<void> {
  const responses = context.request('config.get', undefined, { nodeid: NODEID_UPSTREAM, flags: Flag.streaming });
  return new Promise((resolve, reject) => {
    const take = async (response: Message) => {
      try {
        await update((response.json ?? {}) as JsonObject);
      } catch (error) {
        context.log('err', `the parent's configuration cannot be taken: ${(error as Error).message}`);
      }
      resolve();
    };
    void untilEnd(responses, take).then((end) => {
      if (!expectedEnds.includes(end.code)) context.log('err', `config.get: ${end.message}`);
      reject(end);
    });
  });
}

/** The parent, or this module, is gone. */
const expectedEnds = ['ENODATA', 'EHOSTUNREACH', 'ECONNABORTED'];
