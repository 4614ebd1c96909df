/** The output formats that `flux resource` has by name, and what its configuration files may set (flux-resource(1)). */

import type { JsonValue } from '../core/json.ts';
import { loadToolConfig, type ToolCommands, type ToolConfig } from './named-formats.ts';

const LIST_START = '{state:>10} ?+:{queue:<5} ?:{propertiesx:<10.10+} {nnodes:>6} +:{ncores:>6}';

function stringsFault(name: string): (value: JsonValue | undefined) => string | undefined {
  return (value) => {
    const isRight = Array.isArray(value) && value.every((each) => typeof each === 'string');
    return isRight ? undefined : `${name} must be a list of strings`;
  };
}

const commands = {
  status: {
    formats: {
      default: {
        description: 'Default flux-resource status format string',
        format: '{state:>12} {color_up}{up:>2}{color_off} {nnodes:>6} {nodelist}',
      },
      long: {
        description: 'Long flux-resource status format string',
        format: '{state:>12} {color_up}{up:>2}{color_off} {nnodes:>6} +:{reason:<30.30} {nodelist}',
      },
    },
  },
  drain: {
    formats: {
      long: {
        description: 'Long flux-resource drain format string',
        format: '{timestamp!d:%b%d %R::<12} {state:<8.8} {ranks:<8.8+} +:{reason:<30.30} {nodelist}',
      },
      default: {
        description: 'Default flux-resource drain format string',
        format: '{timestamp!d:%b%d %R::<12} {state:<8.8} {reason:<30.30+} {nodelist}',
      },
    },
  },
  list: {
    formats: {
      default: {
        description: 'Default flux-resource list format string',
        format: `${LIST_START} ?+:{ngpus:>5} {nodelist}`,
      },
      rlist: {
        description: 'Format including resource list details',
        // The mark of the GPUs is none, as in flux-core: it shows as a plus.
        format: `${LIST_START} ?:+{ngpus:>5} {rlist}`,
      },
    },
    settings: { 'hidden-queues': stringsFault('hidden-queues') },
  },
} satisfies ToolCommands;

/** The formats and settings of `flux resource COMMAND`. */
export function resourceConfig(command: keyof typeof commands): ToolConfig {
  return loadToolConfig('flux-resource', commands, command);
}
