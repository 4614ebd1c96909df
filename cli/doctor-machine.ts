/** What `flux doctor` finds of the machine and of the environment. */

import os from 'node:os';
import { asFluxError } from '../core/errno.ts';
import { Handle } from '../core/handle/handle.ts';
import { readConfigPath } from '../core/node/config-files.ts';
import { socketPath } from '../core/node/instance.ts';
import { checkSocketPath } from '../core/node/listen.ts';
import { openFolder, removeFolder } from '../core/node/run-directory.ts';
import { getLimit, nativeStatus } from '../native/index.ts';
import { type Finding, note, ok, wrong } from './doctor-finding.ts';
import { within } from './limits.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Of an instance of a thousand ranks. */
const FILES_WANTED = 4096;

/** @param timeout seconds to wait for an instance that is there */
export async function examineMachine(
  timeout: number,
  environment: Environment = process.env,
): Promise<readonly Finding[]> {
  const processors = os.availableParallelism();
  return [
    ok(`Node ${process.version} on ${os.hostname()}, with ${processors} processor${processors === 1 ? '' : 's'}.`),
    examineAddon(),
    examineFolder('run directory', 'rundir', environment.TMPDIR || '/tmp', (folder) =>
      checkSocketPath(socketPath(folder, 0)),
    ),
    examineFolder('state directory', 'statedir', environment.TMPDIR || '/var/tmp'),
    examineFiles(),
    ...examineConfig(environment.FLUX_CONF_DIR),
    ...(await examineEnclosing(environment.FLUX_URI, timeout)),
  ];
}

function examineAddon(): Finding {
  const lacking = nativeStatus();
  return lacking === undefined ? ok('The native addon is there.') : note(lacking);
}

/** The folder is made as an instance would, and removed again. */
function examineFolder(
  what: string,
  attribute: string,
  parent: string,
  check: (folder: string) => void = () => {},
): Finding {
  try {
    const folder = openFolder(attribute, undefined, parent, undefined);
    try {
      check(folder.path);
    } finally {
      removeFolder(folder);
    }
    return ok(`A ${what} can be made in ${parent}.`);
  } catch (error) {
    const why = asFluxError(error).message;
    return wrong(`No ${what} can be made in ${parent}: ${why}. Name another place by TMPDIR or -S${attribute}=FOLDER.`);
  }
}

function examineFiles(): Finding {
  const { soft, hard } = getLimit('nofile');
  if (soft >= FILES_WANTED) return ok(`${soft} files may be open at a time.`);
  const more = hard > soft ? `; \`ulimit -n ${Math.min(hard, FILES_WANTED)}\` allows more` : '';
  return note(`Only ${soft} files may be open at a time, clients and programs of ranks together${more}.`);
}

function examineConfig(configPath: string | undefined): Finding[] {
  if (configPath === undefined) return [];
  try {
    readConfigPath(configPath);
    return [ok(`The configuration of FLUX_CONF_DIR, ${configPath}, can be read.`)];
  } catch (error) {
    return [wrong(`FLUX_CONF_DIR: ${asFluxError(error).message}`)];
  }
}

async function examineEnclosing(uri: string | undefined, timeout: number): Promise<Finding[]> {
  if (uri === undefined) return [];
  try {
    const size = await within(timeout, sizeOf(uri));
    return [note(`This shell is inside an instance of size ${size}: ${uri}`)];
  } catch (error) {
    return [wrong(`FLUX_URI names an instance that does not answer: ${asFluxError(error).message}`)];
  }
}

async function sizeOf(uri: string): Promise<string> {
  const handle = await Handle.open(uri);
  const size = await handle.attribute('size');
  await handle.close();
  return size;
}
