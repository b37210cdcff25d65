/** Collects a report: from the archive (sessions, space, what pruning would free) and this computer's own records. */
import { isEmptyPolicy } from '../../../shared/archive/retention.ts';
import { listed, type ListedVolume } from '../../cli/commands/list.ts';
import type { CommandContext } from '../../cli/command-context.ts';
import type { VolumeError } from '../../cli/volume-errors.ts';
import { withArchive } from '../../cli/with-archive.ts';
import { space } from '../../link/maintenance-requests.ts';
import { weigh, type PrunedVolume } from '../../maintain/prune-archive.ts';
import { planPrune } from '../../maintain/prune-plan.ts';
import { lineOf } from '../../proven-archive/archive-line.ts';
import type { OpenArchive } from '../../proven-archive/open-archive.ts';
import { volumeAges, type VolumeAge } from '../../runs/overdue.ts';
import type { ReportDocument, ReportedVolume } from './document.ts';

export interface Collected {
  readonly document: ReportDocument;
  readonly errors: readonly VolumeError[];
}

/** @throws errors that end the connection, `rollback` and `fork` */
export async function collect(context: CommandContext): Promise<Collected> {
  return withArchive(context, 'retrieve', async (open) => {
    const now = Date.now();
    const { volumes, unknown } = await listed(open, undefined);
    const { totalBytes, freeBytes } = await space(open.client);
    const pruning = await pruningOf(context, open);
    const ages = new Map(volumeAges(open.state, context.config.notices.overdue, now).map((age) => [age.name, age]));
    const { id, sequence } = lineOf(open.pinned);
    const { encrypted, dedup, codec } = open.state.record;
    const reported = volumes.map((volume) => asReported(volume, ages.get(volume.name), pruning?.get(volume.name)));
    const document: ReportDocument = {
      ...{ archive: context.archive.name, id, sequence, encrypted, dedup, codec },
      time: new Date(now).toISOString(),
      space: { totalBytes, freeBytes },
      freedBytes: pruning === undefined ? null : [...pruning.values()].reduce((sum, each) => sum + each.freedBytes, 0),
      volumes: reported,
    };
    const errors = volumes.flatMap(({ name, error }) => (error === undefined ? [] : [{ name, error }]));
    return { document, errors: [...errors, ...unknown] };
  });
}

/** What the retention policy would remove, by volume; undefined without a policy. */
async function pruningOf(
  { config }: CommandContext,
  open: OpenArchive,
): Promise<ReadonlyMap<string, PrunedVolume> | undefined> {
  if (isEmptyPolicy(config.retention)) return undefined;
  const { plans } = await planPrune(open, [], { kind: 'policy', policy: config.retention });
  const { volumes } = await weigh(open, plans);
  return new Map(volumes.map((volume) => [volume.name, volume]));
}

function asReported(
  { name, sizeBytes, proven, sessions, error }: ListedVolume,
  age: VolumeAge | undefined,
  pruned: PrunedVolume | undefined,
): ReportedVolume {
  const sent = age?.sent ?? null;
  const going = new Set<string>(
    pruned?.sessions.filter(({ reasons }) => reasons.length === 0).map(({ session }) => session),
  );
  return {
    ...{ name, sizeBytes, proven },
    sent: sent === null ? null : new Date(sent).toISOString(),
    overdue: age?.overdue ?? [],
    freedBytes: pruned?.freedBytes ?? null,
    sessions: sessions.map(({ session, time, kind, changedBytes, storedBytes, tags, state }) => ({
      ...{ session, time, kind, changedBytes, storedBytes, tags, state },
      prunable: going.has(session),
    })),
    ...(error === undefined ? {} : { error }),
  };
}
