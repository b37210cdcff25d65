/**
 * The whole send: the archive is opened and compared with the pin, what an earlier run left is settled, all volumes are
 * snapshotted, then streamed one after another, and the catalogue that lists them is put.
 */
import { SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import type { SendRequest, SendStart } from '../capture/begin-send.ts';
import { committed, discarded, type SendRef } from '../capture/conclude.ts';
import type { Pool } from '../capture/pools.ts';
import type { SelectedVolume } from '../capture/pool-look.ts';
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

/** What a send came to, and what ended it before its time. */
export interface SendRun extends SendReport {
  readonly ended: SparsebakError | undefined;
}

export async function send(target: SendTarget, scope: SendScope, host: SendHost): Promise<SendRun> {
  // A receiver takes as long to start as all of the rest of a send without change.
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
  // Even a send without change reads a sample.
  workers.warm();
  try {
    const opening = { ...target, ...host, writes: true, purpose: 'receive' } as const;
    const archive = await openArchive(target.archive, state, opening, connecting);
    refuseForeignWriter(archive);
    const { signal, log, progress } = host;
    const { tags, rereadPerDay } = scope;
    const repairs = new RepairBudget();
    return await sendAll(scope, host, { archive, workers, signal, log, progress, tags, rereadPerDay, repairs });
  } finally {
    await workers.close();
  }
}

/** Settles what an earlier run left, snapshots, streams, lists what was committed, and reads some of it back. */
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
    // What could not be noted is settled by the next send.
    const settling = sent.done.filter(({ request }) => !endings.failures.has(request.volume));
    await listHeads(context, plan, heads, settling);
    noteNewestOf(archive.state, plan, heads, starts);
    await readBackAll(context, lastOf([...resumed.map(({ head }) => asReadBack(head)), ...sent.readable]), all);
    if (stopped !== undefined && (archive.client.failure !== undefined || heads.length === 0)) ended = stopped;
    if (archive.client.failure === undefined) await archive.client.bye();
  } catch (caught) {
    // What was committed is reported all the same.
    ended ??= stopped ?? asSparsebakError(caught);
  }
  const resumedSessions = resumed.map(({ head }) => head.session).sort();
  const session = heads.length > 0 ? plan.session : resumedSessions.at(-1);
  return { session: session ?? null, clock: plan.clock, volumes: all, ended };
}

/** What became of the planned volumes. */
interface SentVolumes {
  readonly reports: VolumeReport[];
  /** Of sessions that the receiver has committed. */
  readonly heads: NewHead[];
  /** Volumes of which a session was committed. */
  readonly done: PlannedVolume[];
  readonly readable: ToReadBack[];
  readonly endings: Endings;
  /** Why the volumes after some point were not sent. */
  stopped: SparsebakError | undefined;
}

/** Streams one volume after another. One that fails stops no other, unless the connection or the send is at its end. */
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

/** Where a run made two sessions of a volume, the newer one. */
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

/** Bytes of an index: of a volume of half a terabyte and more in chunks of 64 KiB. */
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
