/** `flux idset`: sets of ids (RFC 22) from the command line and standard input, put together. */

import { IdSet } from '../core/formats/idset.ts';
import { Exit, idset, PYTHON_USAGE_ERROR, runCommand, subcommand } from './command.ts';
import { type ListOptions, listOptions, positionsOf, printResult, readLines } from './list-tool.ts';

interface Options extends ListOptions {
  brackets?: boolean;
  contains?: IdSet;
  exclude?: IdSet;
}

/** `flux idset [OPTIONS] [IDSET…]` */
export function run(args: readonly string[]): Promise<number> {
  const command = listOptions(subcommand('idset', 'Put sets of ids together, and show what comes of it.'), 'ids')
    .argument('[idsets...]', 'the sets, such as 0-3,7; - (the default) is standard input, a set a line')
    .option('-b, --brackets', 'Put brackets around a set of more than one id.')
    .option('--contains <IDSET>', 'Show nothing, and exit with 1 unless it has all of these ids.', idset)
    .option('-x, --exclude <IDSET>', 'Leave these ids out.', idset)
    .action(async (sources: string[], options: Options) => {
      const sets = await Promise.all((sources.length ? sources : ['-']).map(read));
      show(combine(sets, options).difference(options.exclude ?? IdSet.empty), options);
    });
  return runCommand(command, args, PYTHON_USAGE_ERROR);
}

async function read(source: string): Promise<IdSet> {
  if (source !== '-') return IdSet.parse(source);
  return (await readLines()).reduce((all, line) => all.union(IdSet.parse(line.trim())), IdSet.empty);
}

function combine(sets: readonly IdSet[], { intersect, minus, xor }: Options): IdSet {
  if (intersect) return sets.reduce((all, set) => all.intersect(set));
  if (minus) return sets.reduce((all, set) => all.difference(set));
  if (xor) return sets.reduce((all, set) => all.difference(set).union(set.difference(all)));
  return sets.reduce((all, set) => all.union(set));
}

function show(set: IdSet, options: Options): void {
  const { contains, brackets = false } = options;
  if (contains) throw new Exit(contains.difference(set).count === 0 ? 0 : 1);
  const positions = positionsOf(set.count, options);
  const ids = positions && [...set];
  const shown = ids ? IdSet.from(positions.map((position) => ids[position]!)) : set;
  printResult(shown, shown.encode({ brackets }), options);
}
