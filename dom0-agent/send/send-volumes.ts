/**
 * The whole send: the archive is opened and compared with the pin, what an earlier run left is settled, all volumes are
 * snapshotted, then streamed one after another, and the catalogue that lists them is put.
 */
import type { Logger } from 'pino';
import { Geometry } from '../../shared/archive/address.ts';
import { SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import type { ArchiveId, VolumeId } from '../../shared/archive/names.ts';
import { withRoom } from '../capture/make-room.ts';
import { beginSend, type SendRequest, type SendStart } from '../capture/begin-send.ts';
import { committed, discarded, type SendRef } from '../capture/conclude.ts';
import type { Pool } from '../capture/pools.ts';
import type { SelectedVolume } from '../capture/pool-look.ts';
import type { OnWait } from '../link/call-watch.ts';
import type { ReceiverClient } from '../link/client.ts';
import { WorkerGroup } from '../pipeline/worker-group.ts';
import { noteOwnership } from '../proven-archive/archived-ownership.ts';
import type { ArchiveState } from '../proven-archive/archive-state.ts';
import { noteNewest } from '../proven-archive/clock-report.ts';
import { connect, openArchive } from '../proven-archive/open-archive.ts';
import { lockArchive, refuseForeignWriter } from '../proven-archive/write-lock.ts';
import type { ArchiveConfig } from '../config/config.ts';
import { isProtectedBy } from '../maintain/protecting-tags.ts';
import { noteChanges } from '../proven-archive/unfinished-changes.ts';
import { Endings, settleAll } from './endings.ts';
import { catalogueWith, type NewHead } from './new-catalogue.ts';
import { leftBehind, withLeftBehind } from './left-behind.ts';
import { planVolumes, type PlannedVolume, type SendPlan } from './planned-volumes.ts';
import { bytesOf } from './prepare.ts';
import { readBackAll, type ToReadBack } from './read-back.ts';
import { RepairBudget } from './repair-budget.ts';
import {
  failedReport,
  sentReport,
  withFailure,
  withResumed,
  type SendReport,
  type VolumeReport,
} from './send-report.ts';
import type { SendContext, SendProgress } from './send-context.ts';
import { endsTheSend, streamVolume } from './stream.ts';
import { resolve, settleUnfinished } from './settle-unfinished.ts';

export interface SendOptions {
  readonly archive: ArchiveConfig;
  readonly state: ArchiveState;
  readonly pools: readonly Pool[];
  readonly volumes: readonly SelectedVolume[];
  /** Send volumes that the archive does not have yet. */
  readonly full: boolean;
  readonly tags: readonly string[];
  readonly acceptRollback: boolean;
  readonly lockWait: number;
  readonly rereadPerDay: number;
  /** Whether a send to an archive is under way, this one included. */
  readonly isSending: (archive: ArchiveId) => Promise<boolean>;
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly progress: SendProgress;
  readonly onWait: OnWait;
}

/** What a send came to, and what ended it before its time. */
export interface SendRun extends SendReport {
  readonly ended: SparsebakError | undefined;
}

export async function send(options: SendOptions): Promise<SendRun> {
  // A receiver takes as long to start as all of the rest of a send without change.
  const connecting = connect(options.archive, { ...options, purpose: 'receive' });
  connecting.catch(() => undefined);
  try {
    const lock = await lockArchive(options);
    try {
      return await sendLocked(options, connecting);
    } finally {
      lock.release();
    }
  } finally {
    await connecting.then(
      (client) => {
        client.close();
      },
      () => undefined,
    );
  }
}

async function sendLocked(options: SendOptions, connecting: Promise<ReceiverClient>): Promise<SendRun> {
  const { state } = options;
  const workers = new WorkerGroup(state.content.chunkContent(state.settings.level, state.settings.codec));
  // Even a send without change reads a sample.
  workers.warm();
  try {
    const archive = await openArchive(
      options.archive,
      state,
      { ...options, writes: true, purpose: 'receive' },
      connecting,
    );
    refuseForeignWriter(archive);
    return await sendAll(options, { ...options, archive, workers, repairs: new RepairBudget() });
  } finally {
    await workers.close();
  }
}

async function sendAll(options: SendOptions, context: SendContext): Promise<SendRun> {
  const { archive } = context;
  const { resumed, unsettled } = await settleUnfinished(context, options.pools);
  const plan = await planVolumes(archive, options.volumes, { full: options.full, unsettled });
  const { planned } = plan;
  const reports = [...plan.reports];
  const starts = await begin(planned, options);
  noteOwnership(archive.state.folder, plan.session, ownerships(planned, starts));
  const running = await leftBehind(planned, starts, options);
  await announce(context, planned, starts);
  const resumedReports = resumed.map(({ report }) => report);
  const heads: NewHead[] = [];
  const done: PlannedVolume[] = [];
  const readable: ToReadBack[] = [];
  const endings = new Endings();
  let stopped: SparsebakError | undefined;
  for (const volume of planned) {
    const start = starts.get(volume.request.volume);
    const began = Date.now();
    try {
      if (start === undefined) throw new SparsebakError('failed', 'the volume was not captured');
      if (start.kind !== 'begun') throw start.error;
      if (stopped !== undefined) throw stopped;
      const { report, readBack } = await sendOne(context, volume, start, { heads, endings });
      reports.push({ ...report, seconds: (Date.now() - began) / 1000 });
      if (report.kind !== 'unchanged') done.push(volume);
      readable.push(readBack);
    } catch (caught) {
      const error = options.signal.aborted
        ? new SparsebakError('interrupted', 'interrupted')
        : asSparsebakError(caught);
      if (endsTheSend(error) || archive.client.failure !== undefined) stopped = error;
      reports.push(failedReport(volume.request.volume, error, (Date.now() - began) / 1000));
      if (start?.kind !== 'begun' || isListed(volume, heads)) continue;
      const head = await giveUp(context, volume, error);
      if (head === undefined) continue;
      heads.push(head);
      done.push(volume);
      readable.push(asReadBack(head));
    }
  }
  await endings.flush();
  const noted = reports.map((report) => withFailure(report, endings.failures.get(report.name)));
  const all = withResumed(withLeftBehind(noted, running), resumedReports);
  let ended: SparsebakError | undefined;
  try {
    // What could not be noted is settled by the next send.
    const settling = done.filter(({ request }) => !endings.failures.has(request.volume));
    await listHeads(context, plan, heads, settling);
    noteNewestOf(archive.state, plan, heads, starts);
    await readBackAll(context, lastOf([...resumed.map(({ head }) => asReadBack(head)), ...readable]), all);
    if (stopped !== undefined && (archive.client.failure !== undefined || heads.length === 0)) ended = stopped;
    if (archive.client.failure === undefined) await archive.client.bye();
  } catch (caught) {
    // What was committed is told all the same.
    ended ??= stopped ?? asSparsebakError(caught);
  }
  const session =
    heads.length > 0
      ? plan.session
      : resumed
          .map(({ head }) => head.session)
          .sort()
          .at(-1);
  return { session: session ?? null, clock: plan.clock, volumes: all, ended };
}

/** Where a run made two sessions of a volume, the newer one. */
function lastOf(volumes: readonly ToReadBack[]): ToReadBack[] {
  return [...new Map(volumes.map((each) => [each.volume, each])).values()];
}

function asReadBack({ name, volumeId: volume, session, hash: head }: NewHead): ToReadBack {
  return { name, volume, session, head, sent: 'all' };
}

/** How much there is to read, as far as that is known before a volume's turn comes. */
async function announce(
  { archive, progress }: SendContext,
  planned: readonly PlannedVolume[],
  starts: ReadonlyMap<string, SendStart>,
): Promise<void> {
  const { chunkSize } = archive.state.record;
  for (const { pool, request, base } of planned) {
    const start = starts.get(request.volume);
    if (start?.kind !== 'begun') continue;
    const { map, tock } = start;
    const isMarked = map !== null && !base.rolledBack;
    const bytes = isMarked
      ? bytesOf(map, new Geometry(chunkSize, tock.size))
      : ((await pool.source.occupied?.(tock)) ?? tock.size);
    progress.expect(request.volume, Math.min(tock.size, bytes));
  }
}

function noteNewestOf(
  { folder }: ArchiveState,
  { session, newest }: SendPlan,
  heads: readonly NewHead[],
  starts: ReadonlyMap<string, SendStart>,
): void {
  const times = [...starts.values()].flatMap((start) => (start.kind === 'begun' ? start.tock.time : []));
  const made = heads.length > 0 && times.length > 0 ? { session, time: Math.max(...times) } : newest;
  if (made !== undefined) noteNewest(folder, made);
}

/** The receiver has committed it: whatever dom0 then failed at, the catalogue lists it. */
function isListed({ request }: PlannedVolume, heads: readonly NewHead[]): boolean {
  return heads.some(({ volumeId }) => volumeId === request.volumeId);
}

/**
 * Ends a send that failed. The receiver may have committed it all the same (it failed after its rename, or lied), so
 * its newest head decides, as after a crash. While that is not known the pending entry stays, and the next run asks
 * again.
 * @returns the head, where it was committed
 */
async function giveUp(
  context: SendContext,
  { pool, request }: PlannedVolume,
  error: SparsebakError,
): Promise<NewHead | undefined> {
  if (context.archive.client.failure !== undefined || error.code === 'interrupted') return undefined;
  const { volume, archive, pairing } = request;
  try {
    const { head } = await resolve(context, request, false);
    if (head?.pairing !== pairing) {
      await discarded(pool, { volume, archive, pairing });
      return undefined;
    }
    await committed(pool, { volume, archive, pairing });
    return { ...head, tags: context.tags };
  } catch (caught) {
    context.log.warn({ volume }, `how the send ended is not known yet: ${asSparsebakError(caught).message}`);
    return undefined;
  }
}

/** Of the files that were captured, before any of them can be committed. */
function ownerships(
  planned: readonly PlannedVolume[],
  starts: ReadonlyMap<string, SendStart>,
): Map<VolumeId, string | undefined> {
  const found = new Map<VolumeId, string | undefined>();
  for (const { request } of planned) {
    const start = starts.get(request.volume);
    if (start?.kind === 'begun') found.set(request.volumeId, start.tock.ownership);
  }
  return found;
}

/**
 * All volumes of all pools are snapshotted before the first byte is read. One pool's failure does not stop the others.
 */
async function begin(planned: readonly PlannedVolume[], options: SendOptions): Promise<Map<string, SendStart>> {
  const starts = new Map<string, SendStart>();
  for (const pool of new Set(planned.map((plan) => plan.pool))) {
    const requests = planned.filter((plan) => plan.pool === pool).map(({ request }) => request);
    try {
      const begun = await withRoom(pool, options, () => beginSend(pool, requests));
      for (const start of begun) starts.set(start.volume, start);
    } catch (caught) {
      const error = asSparsebakError(caught, 'source');
      // The lock is that of all pools.
      if (options.signal.aborted || error.code === 'locked') throw error;
      for (const { volume } of requests) starts.set(volume, { kind: 'failed', volume, error });
    }
  }
  return starts;
}

/** Bytes of an index: of a volume of half a terabyte and more in chunks of 64 KiB. */
const KEPT_INDEX = 256 * 1024;

async function sendOne(
  context: SendContext,
  { pool, request, base }: PlannedVolume,
  start: Extract<SendStart, { kind: 'begun' }>,
  { heads, endings }: { readonly heads: NewHead[]; readonly endings: Endings },
): Promise<{ readonly report: VolumeReport; readonly readBack: ToReadBack }> {
  if (start.map === null && base.session !== undefined) {
    context.log.info({ volume: request.volume }, `compared in full: ${start.reason ?? ''}`);
  }
  const sent = await streamVolume(context, {
    pool,
    name: request.volume,
    pending: { ...request, time: start.tock.time },
    tock: start.tock,
    base: base.session,
    map: base.rolledBack ? undefined : (start.map ?? undefined),
    compared: false,
    rolling: pool.store.stateOf(pool.pool, request.volume).rolling[request.archive],
  });
  const { rolling } = sent;
  if (sent.kind === 'unchanged') {
    await endings.add(pool, { kind: 'unchanged', send: refOf(request), rolling });
    const { session, index } = sent.base;
    const { volume, head, headHash } = session;
    // A long index is fetched again rather than kept until all volumes are sent.
    const proven = index.length > KEPT_INDEX ? undefined : { session, index };
    const readBack = { name: request.volume, volume, session: head.session, head: headHash, proven, sent: undefined };
    return { report: sentReport(request.volume, 'unchanged', sent), readBack };
  }
  // Heads are listed by what the receiver has, whatever becomes of dom0's own note of it.
  heads.push(sent.head);
  await endings.add(pool, { kind: 'committed', send: refOf(request), rolling });
  const marked = sent.compared || start.map === null ? 'all' : start.map;
  return {
    report: sentReport(request.volume, base.session === undefined ? 'full' : 'incremental', sent),
    readBack: { ...asReadBack(sent.head), sent: marked },
  };
}

/** Puts the catalogue that lists what the receiver has now. */
async function listHeads(
  context: SendContext,
  { sequence, corrected }: SendPlan,
  heads: readonly NewHead[],
  done: readonly PlannedVolume[],
): Promise<void> {
  const { archive } = context;
  const { catalogue, hash } = archive.pin.known;
  const changed = heads.length > 0 || corrected.length > 0;
  if (!changed || archive.client.failure !== undefined) return;
  // The receiver is told what a tag protects once the catalogue says it.
  if (isProtectedBy(context.tags)) {
    noteChanges(
      archive.state,
      heads.map(({ volumeId }) => ({ volume: volumeId })),
    );
  }
  const found = new Map(corrected.map((volume) => [volume.id, volume]));
  const volumes = catalogue.volumes.map((volume) => found.get(volume.id) ?? volume);
  const current = { catalogue: { ...catalogue, volumes }, hash };
  await archive.pin.replace(archive.client, catalogueWith(current, archive.state, sequence, heads));
  await settleAll(done.map(({ pool, request }) => ({ pool, ref: refOf(request) })));
}

function refOf({ volume, archive, pairing }: SendRequest): SendRef {
  return { volume, archive, pairing };
}
