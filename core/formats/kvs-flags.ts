/** Flags of the key value store's requests, bits of one number. */

/** What a lookup wants. */
export const LookupFlag = {
  /** A directory. */
  readdir: 1,
  /** A symlink itself. */
  readlink: 2,
  /** An answer for each change. */
  watch: 4,
  /** To wait until there is such a key. */
  waitcreate: 8,
  /** The tree object, of whatever type. */
  treeobj: 16,
  /** An answer also where a directory above the key was replaced, and then only when the value is another. */
  watchFull: 64,
  /** No answer where the value is as it was. */
  watchUniq: 128,
  /** Answers hold what was appended. */
  watchAppend: 256,
  /** Each blob of the value in an answer of its own. */
  stream: 512,
  /** An answer without a value behind those that hold what is there at first. */
  initialSentinel: 1024,
} as const;

/** What an operation of a transaction does. */
export const OperationFlag = {
  /** Puts the value behind the one that is there. */
  append: 32,
} as const;

/** How a transaction is committed. */
export const CommitFlag = {
  /** In a root of its own. */
  noMerge: 1,
  /** Appends to one key were made one by who sends it. */
  txnCompact: 2,
  /** Answered when it is in the backing store. */
  sync: 4,
} as const;
