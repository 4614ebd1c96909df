/** The commands' side of the recorded conversations. */

import { testConversations } from './suite.ts';

testConversations('cli');
