// Commits as flux-core made them: the same operations lead to the same roots and the same bytes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HashName } from '../../../core/formats/blobref.ts';
import { LookupFlag } from '../../../core/formats/kvs-flags.ts';
import type { JsonValue } from '../../../core/json.ts';
import { type Operation, readOperations } from '../../../workers/kvs/transaction.ts';
import { golden } from '../../golden.ts';
import { MemoryStore } from './memory-store.ts';

interface Step {
  readonly argv: readonly string[];
  /** The operations of a commit, or a list of those of several; null when the value is in `stdin_fill`. */
  readonly commit_ops: readonly JsonValue[] | null;
  readonly stdin_len?: number;
  readonly stdin_fill?: string;
  readonly rootref: Record<HashName, string>;
}

interface Sequence {
  readonly note: string;
  readonly steps: readonly Step[];
  readonly rootref: Record<HashName, string>;
  readonly objects: Record<HashName, Record<string, string>>;
}

const { sequences } = golden<{ sequences: readonly Sequence[] }>('vectors/treeobj.json');

/** References in operations are those of sha1: `flux kvs copy` of another store finds others. */
function ofStore(operations: readonly Operation[], { argv }: Step, store: MemoryStore): readonly Operation[] {
  const copied = store.lookup(argv.at(-2)!, LookupFlag.treeobj);
  return operations.map((operation) => {
    return operation.dirent?.type === 'dirref' ? { ...operation, dirent: copied! } : operation;
  });
}

function commitsOf({ commit_ops: ops, argv, stdin_fill: fill, stdin_len: length }: Step): readonly JsonValue[] {
  if (ops) return Array.isArray(ops[0]) ? ops : [ops];
  const data = Buffer.from(fill!.repeat(length!)).toString('base64');
  return [[{ key: argv.at(-1)!.replace('=-', ''), flags: 0, dirent: { ver: 1, type: 'val', data } }]];
}

for (const hash of ['sha1', 'sha256'] as const) {
  for (const sequence of sequences) {
    test(`${sequence.note}, ${hash}`, () => {
      const store = new MemoryStore(hash);
      for (const step of sequence.steps) {
        for (const operations of commitsOf(step)) store.apply(...ofStore(readOperations(operations), step, store));
        if (step.rootref) assert.equal(store.rootref, step.rootref[hash], step.argv.join(' '));
      }
      assert.equal(store.rootref, sequence.rootref[hash]);
      for (const [blobref, text] of Object.entries(sequence.objects[hash])) assert.equal(store.text(blobref), text);
    });
  }
}
