/** The service `state-machine`: what state this broker is in, and has been asked to tell. */

import { FluxError } from '../../errno.ts';
import { LATER, type Methods, type Request } from '../../handle/methods.ts';
import { endingMethods, RequestList } from '../../handle/request-list.ts';
import { real } from '../../json.ts';
import { Role } from '../../message/credentials.ts';
import type { Lifecycle } from '../lifecycle.ts';
import { events, type State, type StateEvent, stateNumber } from '../state-machine.ts';

export function stateMachineService(lifecycle: Lifecycle): Methods {
  const monitors = new RequestList();
  const waits = new RequestList();

  /** Tells one monitor of a state; false when it is finished. */
  const tell = (request: Request, state: State): boolean => {
    const { final = stateNumber('exit') } = request.message.hasPayload ? request.unpack({ final: 'i?' }) : {};
    const number = stateNumber(state);
    if (number <= final) request.respond({ state: number });
    if (number < final) return request.isStreaming;
    if (number > final || request.isStreaming) request.endStream();
    return false;
  };

  /** Answers a wait once it can be; false while it can't. */
  const answerWait = (request: Request, state: State): boolean => {
    if (stateNumber(state) < stateNumber('run')) return false;
    if (state === 'run') request.respond();
    else request.fail(new FluxError('ENOENT', 'broker has surpassed RUN state'));
    return true;
  };

  lifecycle.onState((state) => {
    for (const request of monitors) if (!tell(request, state)) monitors.remove(request);
    for (const request of waits) if (answerWait(request, state)) waits.remove(request);
  });

  return {
    get: { allow: Role.user, handler: () => ({ state: lifecycle.state, duration: real(lifecycle.duration) }) },
    wait: {
      allow: Role.user,
      handler(request) {
        if (!answerWait(request, lifecycle.state)) waits.add(request);
        return LATER;
      },
    },
    monitor: {
      handler(request) {
        if (tell(request, lifecycle.state)) monitors.add(request);
        return LATER;
      },
    },
    post: {
      handler(request) {
        const { event, error = false } = request.unpack({ event: 's', error: 'b?' });
        if (request.message.wantsResponse) throw new FluxError('EPROTO', 'state-machine.post gets no response');
        if (!(events as readonly string[]).includes(event)) throw new FluxError('EINVAL', `unknown event '${event}'`);
        if (error) lifecycle.exitCode = 1;
        lifecycle.post(event as StateEvent);
        return LATER;
      },
    },
    disconnect: endingMethods(Role.none, monitors, waits).disconnect,
  };
}
