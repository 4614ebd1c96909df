/**
 * The service `shutdown`: ends the instance in order. The one who asks gets the log of it, and the instance waits for him
 * to go before it ends, so that he has seen all of it.
 */

import { FluxError } from '../../errno.ts';
import { LATER, type Methods, type Request } from '../../handle/methods.ts';
import { type Responses, untilEnd } from '../../handle/rpc.ts';
import { Flag } from '../../message/message.ts';
import type { Broker } from '../broker.ts';
import type { Lifecycle } from '../lifecycle.ts';
import { parseEntry, severities } from '../log-format.ts';

const DEFAULT_LOG_LEVEL = 3;

export function shutdownService(lifecycle: Lifecycle): (broker: Broker) => Methods {
  return (broker) => {
    let request: Request | undefined;
    let log: Responses | undefined;

    /** Goes on to the end once the log is told and the client is gone. */
    const checkCompletion = (): void => {
      if (lifecycle.state !== 'goodbye') return;
      if (log) broker.notify('log.cancel', { matchtag: log.matchtag });
      else if (request) request.endStream();
      else lifecycle.post('goodbye');
    };

    const forwardLog = async (to: Request): Promise<void> => {
      const { loglevel = DEFAULT_LOG_LEVEL } = to.message.hasPayload ? to.unpack({ loglevel: 'i?' }) : {};
      log = broker.request('log.dmesg', { follow: true, nobacklog: true }, { flags: Flag.streaming });
      const end = await untilEnd(log, (response) => {
        const { severity, appname, hostname, text } = parseEntry(
          Buffer.from(response.bytes!).toString().replace(/\0$/, ''),
        );
        if (severity <= loglevel)
          request?.respond({ log: `${appname}.${severities[severity]}[${hostname}]: ${text}\n` });
      });
      if (end.code !== 'ENODATA') broker.log('err', `shutdown: log.dmesg: ${end.message}`);
      log = undefined;
      checkCompletion();
    };

    if (broker.rank === 0) {
      lifecycle.onState((state) => {
        if (state === 'goodbye') checkCompletion();
      });
    }

    return {
      start: {
        handler(start) {
          if (request) throw new FluxError('EINVAL', 'shutdown is already in progress');
          lifecycle.shutdown();
          if (!start.isStreaming) return undefined;
          request = start;
          void forwardLog(start);
          return LATER;
        },
      },
      disconnect: {
        handler(disconnect) {
          if (request && request.sender === disconnect.sender) {
            request = undefined;
            checkCompletion();
          }
          return undefined;
        },
      },
    };
  };
}
