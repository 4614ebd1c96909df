/**
 * Plugins that users write: JavaScript files that look at each job before it is taken in. They run on threads of their
 * own, so that one that throws, loops or fills the memory harms nobody but the job it was asked about.
 */

/** What a plugin does: says whether a job may be submitted, or changes its jobspec. */
export type PluginKind = 'validate' | 'frob';

export interface PluginCall {
  readonly kind: PluginKind;
  /** An absolute path, or one from the working directory of the broker. */
  readonly file: string;
  /** JSON texts; what passes between threads keeps no `Real`. */
  readonly job: string;
  readonly config: string;
  readonly args: readonly string[];
}

/** What came of a call; `errnum` 0 is success. */
export interface PluginOutcome {
  readonly errnum: number;
  readonly errstr?: string;
  /** The jobspec as JSON text, of `frob`. */
  readonly jobspec?: string;
}

export interface PluginThreads {
  /** Threads that there are now. */
  readonly running: number;
  /**
   * Calls a plugin; never rejects.
   *
   * @param signal ends the call, and the thread that it runs on
   */
  call(call: PluginCall, signal: AbortSignal): Promise<PluginOutcome>;
}
