/**
 * Settles sends whose outcome dom0 does not know, before a new one begins. The receiver's commit decides: either the
 * newest head carries the pairing id or not. A send that can be resumed is resumed, and becomes a session like any
 * other.
 */
import type { VolumeId } from '../../shared/archive/names.ts';
import { mayResume, resumption, type Resumption } from '../capture/resumption.ts';
import { committed, discarded, unfinished } from '../capture/conclude.ts';
import type { Pending } from '../capture/pairing.ts';
import { SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import { objectHash } from '../content/hash.ts';
import type { Pool } from '../capture/pools.ts';
import type { OpenArchive } from '../proven-archive/open-archive.ts';
import { ROLLBACK_HINT } from '../proven-archive/pin-errors.ts';
import { namingVolume } from '../proven-archive/volume-error.ts';
import { settleAll } from './endings.ts';
import { catalogueWith, type NewHead } from './new-catalogue.ts';
import { sentReport, type VolumeReport } from './send-report.ts';
import type { SendContext } from './send-context.ts';
import { endsTheSend, streamVolume, type Streamed } from './stream.ts';

interface Unfinished {
  readonly pool: Pool;
  readonly volume: string;
  readonly pending: Pending;
}

/** An interrupted send that was resumed and is now a session. */
export interface Resumed {
  readonly head: NewHead;
  readonly report: VolumeReport;
}

export interface SettledSends {
  readonly resumed: readonly Resumed[];
  /** Why a volume's last send could not be settled, by its name. */
  readonly unsettled: ReadonlyMap<string, SparsebakError>;
}

/** Settles every unfinished send to this archive. An error of one volume does not stop the others. */
export async function settleUnfinished(context: SendContext, pools: readonly Pool[]): Promise<SettledSends> {
  const { archive } = context;
  const found = pools.flatMap((pool) =>
    unfinished(pool, archive.state.record.archive).map((entry): Unfinished => ({ pool, ...entry })),
  );
  const listed: { entry: Unfinished; head: NewHead }[] = [];
  const resumed: Resumed[] = [];
  const unsettled = new Map<string, SparsebakError>();
  for (const entry of found) {
    let outcome: Settled | undefined;
    try {
      outcome = await resolveOne(context, entry, await mayResume(entry.pool, entry.pending));
    } catch (caught) {
      const error = unfinishedFault(entry, caught);
      if (endsTheSend(error) || archive.client.failure !== undefined) throw error;
      unsettled.set(entry.volume, error);
    }
    if (outcome === undefined) continue;
    listed.push({ entry, head: outcome.head });
    if (outcome.report !== undefined) resumed.push({ head: outcome.head, report: outcome.report });
  }
  if (listed.length === 0) return { resumed, unsettled };
  const sequence = archive.state.burnSequence(archive.pin.known.catalogue.sequence);
  const heads = listed.map(({ head }) => head);
  await archive.pin.replace(archive.client, catalogueWith(archive.pin.known, archive.state, sequence, heads));
  await settleAll(listed.map(({ entry }) => ({ pool: entry.pool, ref: refOf(entry) })));
  return { resumed, unsettled };
}

function unfinishedFault({ volume, pending }: Unfinished, error: unknown): SparsebakError {
  const { volumeId: id, session } = pending;
  const hint =
    'It is unknown how its last send ended, so it is not sent. "sparsebak verify" and "sparsebak-receiver ' +
    'check" show what is damaged.';
  return namingVolume(error, { id, name: volume, session, hint });
}

interface Settled {
  readonly head: NewHead;
  /** The report of a resumed send. */
  readonly report?: VolumeReport;
}

async function resolveOne(context: SendContext, entry: Unfinished, resume: boolean): Promise<Settled | undefined> {
  const { archive } = context;
  const { pool, pending } = entry;
  const { head, checkpoint } = await resolve(context, pending, resume);
  if (head?.pairing === pending.pairing) {
    if (pending.outcome === 'unknown') await committed(pool, refOf(entry));
    return { head };
  }
  if (pending.outcome === 'committed' && !archive.acceptRollback) {
    // The receiver had answered `committed`, and the session is missing: the archive was rolled back.
    throw new SparsebakError('rollback', `session ${pending.session} of ${entry.volume} was committed and is missing`, {
      hint: ROLLBACK_HINT,
    });
  }
  if (checkpoint !== null && resume) {
    const taken = await resumption(pool, refOf(entry), { address: checkpoint, newest: head?.pairing ?? null });
    const reason = taken.kind === 'resumable' ? await finish(context, entry, taken) : taken.reason;
    if (typeof reason !== 'string') return reason;
    context.log.warn({ volume: entry.volume }, `an interrupted send cannot be resumed: ${reason}`);
    // Asks again: the send that failed may nevertheless have been committed.
    return resolveOne(context, entry, false);
  }
  await discarded(pool, refOf(entry));
  return undefined;
}

/** How a send ended, by the proven newest head: it carries the send's pairing id, or the send was not committed. */
export async function resolve(
  { archive }: SendContext,
  { volumeId, pairing }: Pick<Pending, 'volumeId' | 'pairing'>,
  resume: boolean,
): Promise<{ readonly head: NewHead | undefined; readonly checkpoint: number | null }> {
  const answer = await archive.client.request({ t: 'resolve', volume: volumeId, pairing, resume });
  if (answer.t !== 'resolved') throw new SparsebakError('protocol', 'the receiver did not say how the last send ended');
  return { head: provenHead(archive, volumeId, answer), checkpoint: answer.checkpoint };
}

/** @throws `integrity` for a head that is not authentic */
function provenHead(
  archive: OpenArchive,
  volume: VolumeId,
  answer: { readonly session: string | null; readonly head: Uint8Array | null },
): NewHead | undefined {
  if (answer.session === null || answer.head === null) return undefined;
  const bytes = Uint8Array.from(answer.head);
  const head = archive.state.content.openHead(volume, answer.session as NewHead['session'], bytes);
  return {
    volumeId: volume,
    name: head.name,
    session: head.session,
    hash: objectHash(bytes),
    pairing: head.pairing,
    tags: [],
  };
}

/** Sends the rest. @returns the result, or why it cannot be resumed: the volume is then sent from its beginning */
async function finish(
  context: SendContext,
  entry: Unfinished,
  taken: Extract<Resumption, { kind: 'resumable' }>,
): Promise<Settled | string> {
  const began = Date.now();
  const { pool, pending, volume } = entry;
  const { archive } = context;
  const base =
    pending.base === null
      ? undefined
      : await archive.reader.head(pending.volumeId, pending.base.session, Buffer.from(pending.base.head, 'hex'));
  context.log.info({ volume }, `resuming session ${pending.session} at ${taken.checkpoint.address} bytes`);
  let sent: Streamed;
  try {
    sent = await streamVolume(context, {
      pool,
      name: volume,
      pending,
      tock: taken.tock,
      base,
      map: taken.map ?? undefined,
      compared: taken.checkpoint.compared,
      resume: taken,
    });
  } catch (caught) {
    const error = asSparsebakError(caught);
    if (endsTheSend(error) || archive.client.failure !== undefined) throw error;
    return error.message;
  }
  if (sent.kind === 'unchanged') return 'it made no session';
  await committed(pool, refOf(entry));
  const report = sentReport(volume, base === undefined ? 'full' : 'incremental', sent);
  return { head: sent.head, report: { ...report, seconds: (Date.now() - began) / 1000 } };
}

function refOf({ volume, pending }: Unfinished) {
  return { volume, archive: pending.archive, pairing: pending.pairing };
}
