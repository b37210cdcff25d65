/** What carrying out a plan works with. */
import type { CommandContext } from '../../../cli/command-context.ts';
import type { WorkerGroup } from '../../../pipeline/worker-group.ts';
import type { Qubesd } from '../../../qubes/qubesd.ts';
import type { Surroundings } from '../../../qubes/read-settings.ts';
import type { QubeArchive } from '../archived.ts';
import type { RestoreRecords } from './record.ts';
import type { Storages } from './storages.ts';

/** For what needs no archive: the exchange of volumes, and settings. */
export interface HostServices {
  readonly context: CommandContext;
  readonly qubesd: Qubesd;
  readonly around: Surroundings;
  readonly records: RestoreRecords;
  readonly storages: Storages;
}

export interface RestoreServices extends HostServices {
  readonly archive: QubeArchive;
  readonly workers: WorkerGroup;
}
