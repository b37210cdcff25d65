/**
 * The complete send: opens the archive and compares it with the pin, settles unfinished sends of earlier runs,
 * snapshots all volumes, streams them one after another, and puts the catalogue that lists them.
 */
import { SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import type { SendRequest, SendStart } from '../capture/begin-send.ts';
import { committed, discarded, type SendRef } from '../capture/conclude.ts';
import type { Pool } from '../capture/pools.ts';
import type { SelectedVolume } from '../capture/look-at-pool.ts';
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
import { leftBehind, withLeftBehind } from './unsaved-running-qubes.ts';
import { planVolumes, type PlannedVolume, type SendPlan } from './planned-volumes.ts';
import { announce, captureVolumes, ownerships } from './capture-volumes.ts';
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
import type { SendContext, SendHost } from './send-context.ts';
import { endsTheSend, streamVolume } from './stream.ts';
import { resolve, settleUnfinished } from './settle-unfinished.ts';

/** Which archive is sent to, and how it is opened. */
export interface SendTarget {
  readonly archive: ArchiveConfig;
  readonly state: ArchiveState;
  readonly acceptRollback: boolean;
  /** Seconds. */
  readonly lockWait: number;
}

/** What is sent. */
export interface SendScope {
  readonly pools: readonly Pool[];
  readonly volumes: readonly SelectedVolume[];
  /** Send volumes that the archive does not have yet. */
  readonly full: boolean;
  readonly tags: readonly string[];
  /** Bytes per volume and day of the rolling re-read. */
  readonly rereadPerDay: number;
}

/** The report of a send, and the error that ended it early. */
export interface SendRun extends SendReport {
  readonly ended: SparsebakError | undefined;
}

export async function send(target: SendTarget, scope: SendScope, host: SendHost): Promise<SendRun> {
  // Started first: a receiver takes as long to start as a send without changes takes for everything else.
  const connecting = connect(target.archive, { ...host, purpose: 'receive' });
  connecting.catch(() => undefined);
  try {
    const lock = await lockArchive({ ...target, ...host });
    try {
      return await sendLocked(target, scope, host, connecting);
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

async function sendLocked(
  target: SendTarget,
  scope: SendScope,
  host: SendHost,
  connecting: Promise<ReceiverClient>,
): Promise<SendRun> {
  const { state } = target;
  const workers = new WorkerGroup(state.content.chunkContent(state.settings.level, state.settings.codec));
  try {
    const opening = { ...target, ...host, writes: true, purpose: 'receive' } as const;
    const archive = await openArchive(target.archive, state, opening, connecting);
    refuseForeignWriter(archive);
    const { signal, log, progress, pace } = host;
    const { tags, rereadPerDay } = scope;
    const repairs = new RepairBudget();
    return await sendAll(scope, host, { archive, workers, signal, log, progress, pace, tags, rereadPerDay, repairs });
  } finally {
    await workers.close();
  }
}

/** Settles unfinished sends, snapshots, streams, lists the committed sessions, and reads a sample back. */
async function sendAll(scope: SendScope, host: SendHost, context: SendContext): Promise<SendRun> {
  const { archive } = context;
  const { resumed, unsettled } = await settleUnfinished(context, scope.pools);
  const plan = await planVolumes(archive, scope.volumes, { full: scope.full, unsettled });
  const { planned } = plan;
  const starts = await captureVolumes(planned, host);
  noteOwnership(archive.state.folder, plan.session, ownerships(planned, starts));
  const running = await leftBehind(planned, starts, host);
  await announce(context, planned, starts);
  const sent = await sendEach(context, planned, starts);
  const { heads, endings, stopped } = sent;
  await endings.flush();
  const noted = [...plan.reports, ...sent.reports].map((report) =>
    withFailure(report, endings.failures.get(report.name)),
  );
  const resumedReports = resumed.map(({ report }) => report);
  const all = withResumed(withLeftBehind(noted, running), resumedReports);
  let ended: SparsebakError | undefined;
  try {
    // The next send settles those that could not be recorded.
    const settling = sent.done.filter(({ request }) => !endings.failures.has(request.volume));
    await listHeads(context, plan, heads, settling);
    noteNewestOf(archive.state, plan, heads, starts);
    await readBackAll(context, lastOf([...resumed.map(({ head }) => asReadBack(head)), ...sent.readable]), all);
    if (stopped !== undefined && (archive.client.failure !== undefined || heads.length === 0)) ended = stopped;
    if (archive.client.failure === undefined) await archive.client.bye();
  } catch (caught) {
    // Committed sessions are reported in any case.
    ended ??= stopped ?? asSparsebakError(caught);
  }
  const resumedSessions = resumed.map(({ head }) => head.session).sort();
  const session = heads.length > 0 ? plan.session : resumedSessions.at(-1);
  return { session: session ?? null, clock: plan.clock, volumes: all, ended };
}

/** The results for the planned volumes. */
interface SentVolumes {
  readonly reports: VolumeReport[];
  /** The heads of sessions that the receiver has committed. */
  readonly heads: NewHead[];
  /** Volumes with a committed session. */
  readonly done: PlannedVolume[];
  readonly readable: ToReadBack[];
  readonly endings: Endings;
  /** Why the remaining volumes were not sent. */
  stopped: SparsebakError | undefined;
}

/**
 * Streams one volume after another. A failing volume does not stop the others, unless the connection or the send has
 * ended.
 */
async function sendEach(
  context: SendContext,
  planned: readonly PlannedVolume[],
  starts: ReadonlyMap<string, SendStart>,
): Promise<SentVolumes> {
  const { archive, signal } = context;
  const sent: SentVolumes = {
    reports: [],
    heads: [],
    done: [],
    readable: [],
    endings: new Endings(),
    stopped: undefined,
  };
  for (const volume of planned) {
    const start = starts.get(volume.request.volume);
    const began = Date.now();
    try {
      if (start === undefined) throw new SparsebakError('failed', 'the volume was not captured');
      if (start.kind !== 'begun') throw start.error;
      if (sent.stopped !== undefined) throw sent.stopped;
      const { report, readBack } = await sendOne(context, volume, start, sent);
      sent.reports.push({ ...report, seconds: (Date.now() - began) / 1000 });
      if (report.kind !== 'unchanged') sent.done.push(volume);
      sent.readable.push(readBack);
    } catch (caught) {
      const error = signal.aborted ? new SparsebakError('interrupted', 'interrupted') : asSparsebakError(caught);
      if (endsTheSend(error) || archive.client.failure !== undefined) sent.stopped = error;
      sent.reports.push(failedReport(volume.request.volume, error, (Date.now() - began) / 1000));
      if (start?.kind !== 'begun' || isListed(volume, sent.heads)) continue;
      const head = await giveUp(context, volume, error);
      if (head === undefined) continue;
      sent.heads.push(head);
      sent.done.push(volume);
      sent.readable.push(asReadBack(head));
    }
  }
  return sent;
}

/** Of a volume with two sessions of one run, keeps the newer one. */
function lastOf(volumes: readonly ToReadBack[]): ToReadBack[] {
  return [...new Map(volumes.map((each) => [each.volume, each])).values()];
}

function asReadBack({ name, volumeId: volume, session, hash: head }: NewHead): ToReadBack {
  return { name, volume, session, head, sent: 'all' };
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

/** Whether the receiver has committed it: then the catalogue lists it, even if dom0 failed afterwards. */
function isListed({ request }: PlannedVolume, heads: readonly NewHead[]): boolean {
  return heads.some(({ volumeId }) => volumeId === request.volumeId);
}

/**
 * Ends a send that failed. The receiver may nevertheless have committed it (it failed after its rename, or lied), so
 * its newest head decides, as after a crash. While that is unknown the pending entry stays, and the next run asks
 * again.
 * @returns the head, if it was committed
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

/** Largest index in bytes that is kept: that of a volume of half a terabyte in chunks of 64 KiB. */
const KEPT_INDEX = 256 * 1024;

async function sendOne(
  context: SendContext,
  { pool, request, base }: PlannedVolume,
  start: Extract<SendStart, { kind: 'begun' }>,
  { heads, endings }: Pick<SentVolumes, 'heads' | 'endings'>,
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
    // A long index is fetched again instead of being kept until all volumes are sent.
    const proven = index.length > KEPT_INDEX ? undefined : { session, index };
    const readBack = { name: request.volume, volume, session: head.session, head: headHash, proven, sent: undefined };
    return { report: sentReport(request.volume, 'unchanged', sent), readBack };
  }
  // A head that the receiver has is listed, even if dom0 cannot record it.
  heads.push(sent.head);
  await endings.add(pool, { kind: 'committed', send: refOf(request), rolling });
  const marked = sent.compared || start.map === null ? 'all' : start.map;
  return {
    report: sentReport(request.volume, base.session === undefined ? 'full' : 'incremental', sent),
    readBack: { ...asReadBack(sent.head), sent: marked },
  };
}

/** Puts the catalogue that lists the new heads. */
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
  // The receiver is told which sessions are protected after the catalogue has the tags.
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
