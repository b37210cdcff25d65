/**
 * Decides which volumes are sent, over which base, with which session and sequence; the other volumes get their report
 * here.
 */
import { randomBytes } from 'node:crypto';
import type { PairingId, SessionName, VolumeId } from '../../shared/archive/names.ts';
import type { SparsebakError } from '../../shared/errors.ts';
import type { SendRequest } from '../capture/begin-send.ts';
import type { Pool } from '../capture/pools.ts';
import type { SelectedVolume } from '../capture/look-at-pool.ts';
import { missingVolume } from '../capture/selection.ts';
import type { CatalogueVolume } from '../content/catalogue.ts';
import { clockReport, newestOf, type ClockReport, type NewestSession } from '../proven-archive/clock-report.ts';
import type { OpenArchive } from '../proven-archive/open-archive.ts';
import { standingOf, type Base, type Standing } from './volume-bases.ts';
import { blankReport, failedReport, type VolumeReport } from './send-report.ts';

/** A volume that will be sent, with what the archive has of it. */
export interface PlannedVolume {
  readonly pool: Pool;
  readonly request: SendRequest;
  readonly base: Base;
}

export interface SendPlan {
  readonly planned: readonly PlannedVolume[];
  /** The reports of volumes that are not sent. */
  readonly reports: readonly VolumeReport[];
  readonly session: SessionName;
  readonly sequence: number;
  /** Corrected catalogue entries of volumes that were rolled back. */
  readonly corrected: readonly CatalogueVolume[];
  /** The archive's newest session before this send, by its proven head. */
  readonly newest: NewestSession | undefined;
  /** Why the clock is doubtful; null if it is not. */
  readonly clock: ClockReport | null;
}

const NEW_VOLUME: Base = { session: undefined, rolledBack: false };

export interface PlanOptions {
  /** Also sends volumes that the archive does not have yet. */
  readonly full: boolean;
  /** Volumes whose last send could not be settled, and why: they are not sent. */
  readonly unsettled: ReadonlyMap<string, SparsebakError>;
}

/** @throws errors that end the connection; an error of one volume is in its report */
export async function planVolumes(
  archive: OpenArchive,
  volumes: readonly SelectedVolume[],
  { full, unsettled }: PlanOptions,
): Promise<SendPlan> {
  const { catalogue } = archive.pin.known;
  const stored = await archive.reader.volumes();
  const active = catalogue.volumes.filter((volume) => volume.state === 'active');
  // Every volume must be in the archive as the catalogue says, also those that are not sent now.
  const standings = await Promise.all(active.map((entry) => standingOf(archive, entry, stored)));
  const faults = new Map([...faultsOf(standings), ...unsettled]);
  const bases = new Map(
    standings.flatMap((each) => (each.kind === 'proven' ? [[each.entry.name, each] as const] : [])),
  );
  // Only proven sessions count: a receiver that lists a session of the year 9999 must not use up all names.
  const newest = newestOf([...bases.values()].flatMap(({ base }) => base.session?.head ?? []));
  const listed = catalogue.volumes.flatMap((volume) => volume.session ?? []);
  const now = Date.now();
  const latest = [...listed, ...(newest === undefined ? [] : [newest.session])].sort().at(-1);
  const { session, sequence } = archive.state.burnSession(catalogue.sequence, latest, now);
  const planned: PlannedVolume[] = [];
  const reports = [...faults].map(([name, error]) => failedReport(name, error, 0));
  for (const selected of volumes) {
    if (faults.has(selected.volume)) continue;
    const { entry, base } = bases.get(selected.volume) ?? { entry: undefined, base: NEW_VOLUME };
    if (selected.missing) {
      reports.push(failedReport(selected.volume, missingVolume(selected), 0));
    } else if (base.session === undefined && !full) {
      const message = 'new volume: send it with --full';
      reports.push({ ...blankReport(selected.volume), kind: 'skipped', error: { code: 'skipped', message } });
    } else {
      const request = requestFor(selected.volume, entry, base, archive, { session, sequence });
      planned.push({ pool: selected.pool, base, request });
    }
  }
  const corrected = [...bases.values()].flatMap(({ entry, base }) => (base.rolledBack ? [asFound(entry, base)] : []));
  return { planned, reports, session, sequence, corrected, newest, clock: clockReport(now, newest) };
}

function faultsOf(standings: readonly Standing[]): [name: string, error: SparsebakError][] {
  return standings.flatMap((each) => (each.kind === 'unproven' ? [[each.entry.name, each.error]] : []));
}

function requestFor(
  volume: string,
  entry: CatalogueVolume | undefined,
  { session: base }: Base,
  { state: { record } }: OpenArchive,
  head: { readonly session: SessionName; readonly sequence: number },
): SendRequest {
  return {
    volume,
    archive: record.archive,
    chunkSize: record.chunkSize,
    pairing: randomId() as PairingId,
    base:
      base === undefined
        ? null
        : { pairing: base.head.pairing, session: base.head.session, head: Buffer.from(base.headHash).toString('hex') },
    volumeId: entry?.id ?? (randomId() as VolumeId),
    name: entry?.name ?? volume,
    ...head,
  };
}

function randomId(): string {
  return randomBytes(16).toString('hex');
}

function asFound(entry: CatalogueVolume, { session }: Base): CatalogueVolume {
  return { ...entry, session: session?.head.session ?? null, head: session?.headHash ?? null };
}
