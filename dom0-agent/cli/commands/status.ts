/**
 * `status`: the state of each volume, by dom0's own records and a look at the pools. It makes no snapshot and asks no
 * receiver: `list` and `verify` show whether the archive still has everything.
 */
import type { CatalogueVolume } from '../../content/catalogue.ts';
import type { PairingState } from '../../capture/pairing.ts';
import { capturesRunning, DOCUMENTS, type Pool } from '../../capture/pools.ts';
import { knownToArchive } from '../../capture/known-volumes.ts';
import type { SelectedVolume } from '../../capture/look-at-pool.ts';
import { missingVolume, selectVolumes } from '../../capture/selection.ts';
import { ArchiveState } from '../../proven-archive/archive-state.ts';
import { describeClock, localClock } from '../../proven-archive/clock-report.ts';
import { lineOf } from '../../proven-archive/archive-line.ts';
import { Pin } from '../../proven-archive/pin.ts';
import {
  asProofs,
  describeProofs,
  readProofs,
  type ShownProofs,
  type VolumeProofs,
} from '../../proven-archive/proofs.ts';
import { volumeAges } from '../../runs/overdue.ts';
import { painterFor } from '../../../shared/terminal/colour.ts';
import type { CommandContext } from '../command-context.ts';
import { asSparsebakError, reportOf, type ErrorReport } from '../../../shared/errors.ts';
import { fitScreen, summary } from '../overview.ts';
import { formatHints, formatTable, print, printJson } from '../output.ts';

interface VolumeStatus {
  readonly name: string;
  /** Null: no configured pool has it. */
  readonly pool: string | null;
  /**
   * `new`: not in the archive. `missing`: does not exist now. `skipped`: a pattern matched it, but it cannot be sent.
   * `failed`: it or its pool could not be examined. `unselected`: in the archive, but no pool selects it.
   */
  readonly kind: 'saved' | 'new' | 'missing' | 'skipped' | 'failed' | 'unselected';
  /** Why it is missing, skipped or failed. */
  readonly error?: ErrorReport;
  /** The newest session; null: none. */
  readonly session: string | null;
  /** Chunks that the next send reads; null: the whole volume. */
  readonly changedChunks: number | null;
  /** When that was last recorded. ISO 8601. */
  readonly noted: string | null;
  /** The session of an interrupted send. */
  readonly unfinished: string | null;
  /** Its qube is running, and what it has written since its start is in no session. */
  readonly running: boolean;
  /** ISO 8601. */
  readonly missingSince: string | null;
  readonly proven: ShownProofs;
}

export async function status(context: CommandContext, names: readonly string[]): Promise<number> {
  const { archive, config } = context;
  const state = ArchiveState.open(config.stateDir, archive.name);
  const { known: pinned } = new Pin(state);
  const { catalogue } = pinned;
  const entries = catalogue.volumes.filter((entry) => entry.state === 'active');
  const proofs = readProofs(state.folder);
  const pools = await context.poolsToRead();
  const volumes: VolumeStatus[] = [];
  const known = knownToArchive(entries);
  const { volumes: selected, skipped } = await selectVolumes(pools, { names, known });
  for (const pool of pools) {
    const here = selected.filter((each) => each.pool === pool);
    const running = await runningIn(context, pool, here);
    for (const each of here) {
      const entry = entries.find(({ name }) => name === each.volume);
      const proven = asProofs(proofs[entry?.id ?? '']);
      volumes.push({ ...statusOf(each, state.record.archive, entry), running: running.has(each.volume), proven });
    }
  }
  for (const { name, kind, error } of skipped) {
    const entry = entries.find((each) => each.name === name);
    volumes.push({ ...unattended(entry, proofs[entry?.id ?? '']), name, kind, error });
  }
  if (names.length === 0) {
    const told = new Set(volumes.map(({ name }) => name));
    for (const entry of entries) {
      if (told.has(entry.name)) continue;
      volumes.push({ ...unattended(entry, proofs[entry.id]), name: entry.name, kind: 'unselected' });
    }
  }
  volumes.sort((a, b) => (a.name < b.name ? -1 : 1));
  const { id, sequence, hash } = lineOf(pinned);
  const clock = localClock(state, Date.now());
  if (context.json) printJson({ archive: archive.name, id, sequence, hash, clock, volumes });
  else {
    const lines = [
      `Archive ${archive.name}, catalogue ${sequence}.`,
      ...(clock === null ? [] : [describeClock(clock)]),
    ];
    const { stdout } = process;
    if (!stdout.isTTY) print([...lines, asText(volumes), ...formatHints(volumes)].join('\n'));
    else {
      const now = Date.now();
      const ages = volumeAges(state, config.notices.overdue, now);
      const shown = fitScreen(volumes, stdout.rows, (some) => asText(some).split('\n').length);
      const left = volumes.length - shown.length;
      print(
        [
          ...[...lines, ...summary(volumes, ages, now, painterFor(stdout)), asText(shown)],
          ...(left === 0 ? [] : [`(${left} more: "sparsebak status | cat" shows all)`]),
          ...formatHints(shown),
        ].join('\n'),
      );
    }
  }
  return volumes.some(({ error }) => error !== undefined) ? 3 : 0;
}

/** Volumes of which the stopped state is captured while their qube is running and has changed it. */
async function runningIn(
  { log }: CommandContext,
  pool: Pool,
  selected: readonly SelectedVolume[],
): Promise<ReadonlySet<string>> {
  if (capturesRunning(pool) || selected.length === 0) return new Set();
  try {
    return (await pool.source.running?.(selected.map(({ volume }) => volume))) ?? new Set();
  } catch (error) {
    log.warn(`pool ${pool.pool}: cannot find out which qubes are running: ${asSparsebakError(error).message}`);
    return new Set();
  }
}

function statusOf(
  selected: SelectedVolume,
  archive: string,
  entry: CatalogueVolume | undefined,
): Omit<VolumeStatus, 'running' | 'proven'> {
  const { volume, pool, missing } = selected;
  let state: PairingState;
  try {
    state = pool.store.stateOf(pool.pool, volume);
  } catch (error) {
    const session = entry?.session ?? null;
    return {
      ...blank,
      name: volume,
      pool: pool.pool,
      kind: 'failed',
      session,
      error: reportOf(asSparsebakError(error)),
    };
  }
  const maps = state.maps.filter((map) => map.archive === archive);
  const unfinished = state.pending.find((pending) => pending.archive === archive && pending.outcome === 'unknown');
  return {
    name: volume,
    pool: pool.pool,
    kind: missing ? 'missing' : entry === undefined ? 'new' : 'saved',
    session: entry?.session ?? null,
    changedChunks: maps.length === 0 ? null : Math.max(...maps.map(({ changedChunks }) => changedChunks)),
    noted: maps.length === 0 || state.tick === null ? null : new Date(state.tick.time).toISOString(),
    unfinished: unfinished?.session ?? null,
    missingSince: state.missingSince === null ? null : new Date(state.missingSince).toISOString(),
    ...(missing ? { error: reportOf(missingVolume(selected)) } : {}),
  };
}

const blank = { changedChunks: null, noted: null, unfinished: null, running: false, missingSince: null };

/** A volume that no pool has. */
function unattended(entry: CatalogueVolume | undefined, proofs: VolumeProofs | undefined) {
  return { ...blank, pool: null, session: entry?.session ?? null, proven: asProofs(proofs) };
}

function asText(volumes: readonly VolumeStatus[]): string {
  const rows = volumes.map((volume) => [
    volume.name,
    volume.session ?? '',
    volume.changedChunks === null ? '' : `${volume.changedChunks} chunks`,
    minute(volume.noted),
    describeProofs(volume.proven, volume.session),
    remarks(volume).join('; '),
  ]);
  return formatTable(['VOLUME', 'NEWEST SESSION', 'TO SEND', 'NOTED', 'PROVEN', ''], rows, [2], [3]);
}

function remarks({ kind, pool, error, changedChunks, unfinished, running, missingSince }: VolumeStatus): string[] {
  return [
    ...(kind === 'new' ? ['not sent yet: "sparsebak send --full"'] : []),
    ...(kind === 'missing' ? [`not there${missingSince === null ? '' : ` since ${minute(missingSince)}`}`] : []),
    ...(error === undefined || kind === 'missing' ? [] : [error.message]),
    ...(kind === 'unselected' ? ['no pool selects it'] : []),
    ...(kind === 'saved' && changedChunks === null && pool !== DOCUMENTS ? ['read in full by the next send'] : []),
    ...(unfinished === null ? [] : [`the send ${unfinished} was interrupted; the next one settles that`]),
    ...(running ? ['its qube is running: what it has written since its start is not in the archive'] : []),
  ];
}

/** UTC, without seconds. */
function minute(time: string | null): string {
  return time === null ? '' : time.slice(0, 16).replace('T', ' ');
}
