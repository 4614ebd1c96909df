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

/** Processes that host the ranks of an instance, as many as it has ranks at most. */
const PROCS = Number(process.env.FLUX_TEST_PROCS ?? 1);

interface Choice {
  /** Only the conversations of these areas. */
  readonly areas?: readonly string[];
  readonly procs?: number;
}

/** Tests the conversations in a mode. */
export function testConversations(mode: Mode, { areas, procs = PROCS }: Choice = {}): void {
  const recordings = recordedNames().map((name) => readRecording(name, '/tmp'));
  const heads = recordings.filter(isIn[mode]).map(({ head }) => head);
  const where = procs > 1 ? `, with ranks in ${procs} processes` : '';

  describe(`${titles[mode]}${where}`, { concurrency: LANES }, () => {
    for (const { name, area, size } of heads) {
      if (areas && !areas.includes(area)) continue;
      const skip = procs > 1 && size === 1 && 'it has one rank, which no processes can share';
      test(name, { skip }, async () =>
        assert.deepEqual(thatCount(await replay(name, mode, procs), mayDiffer(mode, name)), []),
      );
    }
  });
}
