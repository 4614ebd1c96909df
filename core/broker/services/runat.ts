/** The service `runat`: adds commands to the points of a broker's life at which it runs programs. */

import { FluxError } from '../../errno.ts';
import type { Methods } from '../../handle/methods.ts';
import type { RcPrograms } from '../rc.ts';

export function runatService(programs: RcPrograms, shell: () => string): Methods {
  return {
    push: {
      handler(request) {
        const { name, commands } = request.unpack({ name: 's', commands: '*' });
        if (!Array.isArray(commands) || commands.length === 0) throw new FluxError('EPROTO', 'commands array is empty');
        for (const command of commands)
          if (typeof command !== 'string' || command === '')
            throw new FluxError('EPROTO', 'cannot push an empty command line');
        for (const command of commands as string[])
          programs.push(name, { argv: [shell(), '-c', command], passThrough: false, text: command });
        return undefined;
      },
    },
  };
}
