/**
 * Conversations between flux-core's clients and brokers, recorded, and replayed here against this broker: each answer is
 * compared with flux-core's (wire), and each command's output with that of flux-core's command (cli).
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { thatCount } from './compare.ts';
import { mayDiffer } from './expectations.ts';
import { type Recording, readRecording, recordedNames } from './recording.ts';
import { type Mode, replay } from './replay.ts';

/** Conversations at a time in a mode, whose suites run side by side: they wait for timers half of their time. */
const LANES = 2;

const isIn: Readonly<Record<Mode, (recording: Recording) => boolean>> = {
  wire: ({ head, lines }) => lines.length > 0 && !head.cli_only,
  cli: ({ head }) => !head.wire_only,
};

const titles: Readonly<Record<Mode, string>> = {
  wire: 'a broker answers as flux-core does',
  cli: 'a command does what flux-core does',
};

/** Tests all conversations in a mode. */
export function testConversations(mode: Mode): void {
  const recordings = recordedNames().map((name) => readRecording(name, '/tmp'));
  const names = recordings.filter(isIn[mode]).map(({ head }) => head.name);

  describe(titles[mode], { concurrency: LANES }, () => {
    for (const name of names)
      test(name, async () => assert.deepEqual(thatCount(await replay(name, mode), mayDiffer(mode, name)), []));
  });
}
