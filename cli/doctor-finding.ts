/** What `flux doctor` finds: a sentence each, and whether it is as it should be. */

export interface Finding {
  /** `wrong`: an instance does not start so, or not the one that is wanted. */
  readonly verdict: 'ok' | 'note' | 'wrong';
  readonly text: string;
}

export const ok = (text: string): Finding => ({ verdict: 'ok', text });
export const note = (text: string): Finding => ({ verdict: 'note', text });
export const wrong = (text: string): Finding => ({ verdict: 'wrong', text });
