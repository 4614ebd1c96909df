/** Where the lines of the brokers' log go: standard error, a file, the system's log. */

import fs from 'node:fs';
import os from 'node:os';
import { writeSyslog } from '../../native/index.ts';
import { asFluxError } from '../errno.ts';
import type { Methods } from '../handle/methods.ts';

export class LogWriter {
  readonly #stderr: (line: string) => void;
  readonly #failed = new Set<string>();
  readonly #syslogPrefix = `${os.userInfo().username}@/`;

  constructor(stderr: (line: string) => void) {
    this.#stderr = stderr;
  }

  /** What the threads of ranks ask for. */
  readonly methods: Methods = {
    'log.stderr': {
      handler: (request) => {
        this.#stderr(request.unpack({ line: 's' }).line);
        return undefined;
      },
    },
    'log.file': {
      handler: (request) => {
        const { path, line } = request.unpack({ path: 's', line: 's' });
        this.#try(`log-filename ${path}`, () => fs.appendFileSync(path, `${line}\n`));
        return undefined;
      },
    },
    'log.syslog': {
      handler: (request) => {
        const { severity, line } = request.unpack({ severity: 'i', line: 's' });
        this.#try('log-syslog-enable', () => writeSyslog(severity, `${this.#syslogPrefix} ${line}`));
        return undefined;
      },
    },
  };

  /** A log that can't be written is said once, and kept from ending anything. */
  #try(attribute: string, write: () => void): void {
    try {
      write();
    } catch (error) {
      if (this.#failed.has(attribute)) return;
      this.#failed.add(attribute);
      this.#stderr(`${attribute}: ${asFluxError(error).message}; log lines are lost from here on`);
    }
  }
}
