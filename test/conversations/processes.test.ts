/** Conversations about the tree of brokers and the ways to them, with ranks in several processes: nobody can tell. */

import { testConversations } from './suite.ts';

for (const mode of ['wire', 'cli'] as const) testConversations(mode, { areas: ['overlay', 'proxy', 'uri'], procs: 3 });
