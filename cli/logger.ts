/** `flux logger`: writes to the log of the broker. */

import { text } from 'node:stream/consumers';
import { Option } from 'commander';
import { formatTimestamp, type Severity, severities, severityNumber } from '../core/broker/log-format.ts';
import { FluxError } from '../core/errno.ts';
import { runCommand, subcommand, withHandle } from './command.ts';

interface Options {
  severity: Severity;
  appname: string;
}

/** `flux logger [OPTIONS] [MESSAGE...]` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand('logger', "Write to the broker's log.")
    .argument('[message...]', 'words of the message; lines of standard input when there are none')
    .addOption(new Option('-s, --severity <SEVERITY>', 'How grave it is.').choices([...severities]).default('notice'))
    .option('-n, --appname <NAME>', 'What the log calls the program it comes from.', 'logger')
    .action((words: string[], options: Options) => log(words, options));
  return runCommand(command, args);
}

async function log(words: readonly string[], { severity, appname }: Options): Promise<void> {
  if (!/^[!-~]+$/.test(appname)) throw new FluxError('EINVAL', `'${appname}' is no name: it has blanks or is empty`);
  const message = words.length ? words.join(' ') : await text(process.stdin);
  const lines = message.split(/[\r\n\0]+/).filter((line, _, all) => line || all.length === 1);
  await withHandle(async (handle) => {
    const rank = await handle.attribute('rank');
    const answers = lines.map((line) => {
      // A syslog line (RFC 5424) as log-format.ts reads it; the numbers of severities are those of syslog.
      const header = `<${severityNumber(severity) << 3}>1 ${formatTimestamp(now())} ${rank} ${appname}`;
      return handle.rpcBytes('log.append', Buffer.from(`${header} ${process.pid} - - ${line}`));
    });
    await Promise.all(answers);
  });
}

/** Seconds since the epoch, with microseconds. */
function now(): number {
  return (performance.timeOrigin + performance.now()) / 1000;
}
