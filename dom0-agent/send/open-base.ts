/**
 * Opens the base of a volume's send: repairs what it can of the base and resends the rest. If an interrupted send left
 * ranges below its checkpoint to the base and these are damaged, it starts over.
 */
import type { Geometry } from '../../shared/archive/address.ts';
import { isIntegrity, SparsebakError } from '../../shared/errors.ts';
import { newEntries } from '../content/entries.ts';
import { PageIndex } from '../content/page-index.ts';
import { readContent } from '../reading/read-content.ts';
import type { OpenSnapshot } from '../source/source.ts';
import { forgetDamage, foundDamage } from '../proven-archive/found-damage.ts';
import type { ProvenReader, ProvenSession } from '../proven-archive/proven-reader.ts';
import type { SendContext, StreamRequest } from './send-context.ts';
import { repair, type Repaired } from './repair.ts';
import type { VolumeContent } from './volume-content.ts';

export interface OpenBase {
  readonly base: FoundBase | undefined;
  /** Ranges that are resent. */
  readonly lostPages: ReadonlySet<number>;
  readonly repaired: Repaired;
}

const NOTHING: Repaired = { repaired: 0, lost: 0, left: 0, lostPages: new Set() };

/** @param onFault damage that was not known before */
export async function openBase(
  context: SendContext,
  request: StreamRequest,
  snapshot: OpenSnapshot,
  onFault: (fault: SparsebakError) => void,
): Promise<OpenBase> {
  const { base: session, name, resume } = request;
  if (session === undefined) return { base: undefined, lostPages: new Set(), repaired: NOTHING };
  const base = await baseOf(context.archive.reader, session, onFault);
  if (base.isMissing) {
    // It is unknown which pages of the base are missing, and the part below the checkpoint may need them.
    if (resume !== undefined && !isAllSent(resume)) throw leansOnLost();
    return { base, lostPages: everyRange(session.geometry), repaired: NOTHING };
  }
  const repaired = await repairKnown(context, name, { ...snapshot, base });
  const found = await foundBefore(context, request, session);
  return { base, lostPages: new Set([...repaired.lostPages, ...found]), repaired };
}

/**
 * Ranges that verify or the read-back found damaged in the base, whether the receiver knows of them or not. They are
 * read again, so that nothing is resent that was only unavailable for a moment or has been repaired since.
 */
async function foundBefore(
  context: SendContext,
  { name, resume }: StreamRequest,
  base: ProvenSession,
): Promise<ReadonlySet<number>> {
  const { archive, workers, signal, log } = context;
  const { folder } = archive.state;
  const found = foundDamage(folder, base.volume, base.head.session);
  if (found.size === 0) return found;
  const services = { client: archive.client, reader: archive.reader, workers, signal, onProgress: () => undefined };
  const still = await readContent({ session: base, target: null, ranges: found }, services).then(
    ({ badRanges }) => badRanges,
    (error: unknown) => {
      if (!isIntegrity(error)) throw error;
      return found;
    },
  );
  if (still.size === 0) {
    forgetDamage(folder, base.volume);
    return still;
  }
  const from = resume === undefined ? 0 : Math.ceil(resume.checkpoint.address / base.geometry.rangeBytes);
  if ([...still].some((range) => range < from)) throw leansOnLost();
  log.warn({ volume: name }, `${name}: ranges that were found damaged in ${base.head.session} are sent again`);
  return still;
}

interface FoundBase {
  readonly session: ProvenSession;
  readonly index: Uint8Array;
  /** Nothing is known of its content: the complete volume is sent again. */
  readonly isMissing: boolean;
}

async function baseOf(
  reader: ProvenReader,
  session: ProvenSession,
  onFault: (fault: SparsebakError) => void,
): Promise<FoundBase> {
  try {
    const { hashes, fault } = await reader.index(session);
    if (fault !== undefined) onFault(fault);
    return { session, index: hashes, isMissing: false };
  } catch (error) {
    if (!isIntegrity(error)) throw error;
    onFault(error);
    return { session, index: newEntries(session.geometry.rangeCount), isMissing: true };
  }
}

function everyRange({ rangeCount }: Geometry): ReadonlySet<number> {
  return new Set(Array.from({ length: rangeCount }, (_, range) => range));
}

/**
 * Sends again what the receiver's scrub found damaged, if the snapshot still has it; the send continues whatever the
 * result.
 */
async function repairKnown(
  { archive, workers, signal, log, repairs: budget }: SendContext,
  name: string,
  request: Parameters<typeof repair>[0],
): Promise<Repaired> {
  const { client, reader, state } = archive;
  const { content } = state;
  const { lostPages, ...counts } = await repair(request, { client, reader, content, workers, signal, budget });
  // Only logged: the send's report tells the user, once for all volumes.
  if (counts.repaired + counts.lost + counts.left > 0)
    log.info({ volume: name, ...counts }, `${name}: damage was repaired`);
  return { lostPages, ...counts };
}

/** Whether no range below the checkpoint was left to the base. */
function isAllSent({ checkpoint, tock }: NonNullable<StreamRequest['resume']>): boolean {
  return checkpoint.changedBytes >= Math.min(checkpoint.address, tock.size);
}

/** Whether a missing page is below the address at which an interrupted send resumes, and was not sent by it. */
export function leansOn({ resume, base }: VolumeContent, lost: ReadonlySet<number>): boolean {
  const sent = new PageIndex(resume?.index);
  const old = new PageIndex(base?.index);
  return [...lost].some(
    (range) => range < (resume?.range ?? 0) && Buffer.compare(sent.hash(range), old.hash(range)) === 0,
  );
}

/** The error after which the volume is sent from its beginning. */
export function leansOnLost(): SparsebakError {
  return new SparsebakError('source', 'pages of its base are missing in the archive');
}
