/** The module `shell`: what its shells reach of their thread and rank. What shells are made of is read with the first job. */

import type { ModuleDefinition, ServiceContext } from '../../core/broker/service.ts';
import { isUtf8Locale } from '../../core/formats/locale.ts';
import type { RexecThread } from '../rexec/rexec.ts';
import type { JobLayout } from './job-layout.ts';
import type { TaskGuard } from './task-guard.ts';

export interface ShellModuleHost {
  /** FLUX_URI of the tasks of this rank; its socket is there once this resolves. */
  localUri(): Promise<string>;
  /** The environment of the rank now. */
  environment(): Promise<Readonly<Record<string, string>>>;
  readonly thread: ProgramThread;
}

/** What the shells of one thread have in common, of whichever ranks they are. */
export interface ShellThread {
  /** The layout of jobs that have shells here, by their ids. */
  readonly layouts: Map<bigint, SharedLayout>;
  /** Ends what tasks leave when this process is killed. */
  readonly guard: Pick<TaskGuard, 'enter' | 'leave'>;
}

/** What runs programs on one thread, for whoever wants some run. */
export interface ProgramThread extends RexecThread, ShellThread {}

export interface SharedLayout {
  readonly layout: JobLayout;
  users: number;
}

export function shellModule(host: (context: ServiceContext) => ShellModuleHost): ModuleDefinition {
  return {
    async start(context) {
      const moduleHost = host(context);
      const { ShellService } = await import('./shell-service.ts');
      const isUtf8 = isUtf8Locale({ env: await moduleHost.environment() });
      return new ShellService(context, moduleHost.thread, isUtf8, await moduleHost.localUri());
    },
  };
}
