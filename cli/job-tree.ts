/** Trees of labels, drawn with lines as pstree(1) does. */

import { cutLine } from './output-format.ts';

/** What connects labels: beside a branch, to a branch, to the last branch, and below that. */
interface Connectors {
  readonly pipe: string;
  readonly tee: string;
  readonly elbow: string;
  readonly blank: string;
}

export const treeStyles = {
  ascii: { pipe: '|   ', tee: '|-- ', elbow: '`-- ', blank: '    ' },
  box: { pipe: '│   ', tee: '├── ', elbow: '└── ', blank: '    ' },
  compact: { pipe: '│ ', tee: '├─', elbow: '└─', blank: '  ' },
} as const satisfies Record<string, Connectors>;

export interface Tree {
  readonly label: string;
  /** What stands in front of the lines. */
  readonly prefix: string;
  readonly branches: readonly Tree[];
  /** How many leaves it stands for. */
  readonly count: number;
}

/** A tree of one label; with `combine`, leaves that look the same become one. */
export function makeTree(label: string, prefix: string, branches: readonly Tree[], combine = false): Tree {
  return { label, prefix, branches: combine ? combineLeaves(branches) : branches, count: 1 };
}

function combineLeaves(branches: readonly Tree[]): Tree[] {
  const combined = new Map<string | Tree, Tree>();
  for (const branch of branches) {
    const key = branch.branches.length ? branch : JSON.stringify([branch.prefix, branch.label]);
    const known = combined.get(key);
    combined.set(key, known ? { ...known, count: known.count + 1 } : branch);
  }
  return [...combined.values()];
}

export interface DrawOptions {
  readonly style: keyof typeof treeStyles;
  /** Leaves the root out: its branches are trees by themselves. */
  readonly skipRoot?: boolean;
  /** Longer lines are cut. */
  readonly width?: number | undefined;
}

/** The lines of a tree. */
export function drawTree(tree: Tree, { style, skipRoot, width }: DrawOptions): string[] {
  const connectors: Connectors = treeStyles[style];
  const lines: string[] = [];
  const draw = (each: Tree, before: string, connector: string, below: string): void => {
    const label = each.count > 1 ? `${each.count}*[${each.label}]` : each.label;
    const line = `${each.prefix && `${each.prefix} `}${before}${connector}${label}`;
    lines.push(width ? cutLine(line, width) : line);
    each.branches.forEach((branch, index) => {
      const isLast = index === each.branches.length - 1;
      draw(
        branch,
        below,
        isLast ? connectors.elbow : connectors.tee,
        below + (isLast ? connectors.blank : connectors.pipe),
      );
    });
  };
  for (const root of skipRoot ? tree.branches : [tree]) draw(root, '', '', '');
  return lines;
}
