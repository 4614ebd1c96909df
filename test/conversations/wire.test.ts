/** The brokers' side of the recorded conversations. */

import { testConversations } from './suite.ts';

testConversations('wire');
