/** `verify`: proves that sessions can be restored, by reading and proving what a restore would write. */
import { randomInt } from 'node:crypto';
import { isSessionName } from '../../../shared/archive/names.ts';
import { SparsebakError, asSparsebakError, reportOf, type ErrorReport } from '../../../shared/errors.ts';
import type { CatalogueVolume } from '../../content/catalogue.ts';
import { findSession, listedVolumes, sessionNames } from '../../restore/find-session.ts';
import { readContent, type BadChunk, type ReadTools } from '../../restore/read-content.ts';
import { damagedFiles, type DamagedFile } from '../../trust/archive-files.ts';
import type { OpenArchive } from '../../trust/open-archive.ts';
import { KnownHeads } from '../../trust/known-heads.ts';
import { forgetDamage, noteDamage } from '../../trust/found-damage.ts';
import { noteProof } from '../../trust/proofs.ts';
import type { CommandContext } from '../context.ts';
import { formatBytes, formatTable, print, printJson } from '../output.ts';
import { withArchive } from '../with-archive.ts';
import { withWorkers } from '../with-workers.ts';

export interface VerifyOptions {
  readonly session?: string;
  readonly allSessions?: boolean;
  /** Percent of the chunks. */
  readonly sample?: number;
}

interface VerifiedSession {
  readonly name: string;
  readonly session: string;
  readonly chunks: number;
  readonly bytes: number;
  readonly badChunks: number;
  readonly bad: readonly BadChunk[];
  readonly error?: ErrorReport;
}

export async function verify(
  context: CommandContext,
  names: readonly string[],
  options: VerifyOptions,
): Promise<number> {
  if (options.session !== undefined && options.allSessions === true) {
    throw new SparsebakError('usage', '--session and --all-sessions exclude each other');
  }
  return withArchive(context, { purpose: 'retrieve', reportsCatalogue: true }, (archive) =>
    withWorkers(archive.state, async (pool) => {
      const tools: ReadTools = {
        ...{ client: archive.client, reader: archive.reader, pool, signal: context.signal },
        onProgress: (bytes) => {
          context.progress.add(bytes);
        },
        onSkipped: (bytes) => {
          context.progress.skip(bytes);
        },
      };
      const files = await damagedFiles(archive);
      const volumes = listedVolumes(archive, names);
      const { results, isDamaged, ended } = await verifyAll(context, archive, volumes, options, tools);
      context.progress.clear();
      const error = ended === undefined ? {} : { error: reportOf(ended) };
      if (context.json) printJson({ sessions: results, files: files.map(asFinding), ...error });
      else print([asText(results, options), ...files.map(({ fault }) => describeFault(fault))].join('\n'));
      const found = isDamaged || files.length > 0;
      if (ended !== undefined && (ended.code === 'interrupted' || !found)) throw ended;
      return found ? 4 : 0;
    }),
  );
}

interface Verified {
  readonly results: readonly VerifiedSession[];
  readonly isDamaged: boolean;
  readonly ended: SparsebakError | undefined;
}

/** What was proven before an error that ends the command is told all the same. */
async function verifyAll(
  context: CommandContext,
  archive: OpenArchive,
  volumes: readonly CatalogueVolume[],
  options: VerifyOptions,
  tools: ReadTools,
): Promise<Verified> {
  const results: VerifiedSession[] = [];
  const unproven: VerifiedSession[] = [];
  let ended: SparsebakError | undefined;
  const chosen = new Map<CatalogueVolume, Promise<(string | undefined)[]>>();
  for (const volume of volumes) {
    const sessions = sessionsOf(archive, volume, options);
    sessions.catch(() => undefined);
    chosen.set(volume, sessions);
  }
  await announce(context, archive, chosen);
  for (const [volume, sessions] of chosen) {
    try {
      for (const session of await sessions) {
        results.push(await verifyOne(context, archive, volume, session, options, tools));
      }
    } catch (caught) {
      const error = context.signal.aborted
        ? new SparsebakError('interrupted', 'interrupted')
        : asSparsebakError(caught);
      ended ??= error;
      unproven.push(failed(volume, options.session, error));
      if (context.signal.aborted || archive.client.failure !== undefined) break;
    }
  }
  const isDamaged = results.some(({ badChunks, error }) => badChunks > 0 || error !== undefined);
  return { results: [...results, ...unproven], isDamaged, ended };
}

/** A slot, or the archive's catalogue. */
function asFinding({ file, fault: { code, message, hint } }: DamagedFile): unknown {
  return { file, error: { code, message, ...(hint === undefined ? {} : { hint }) } };
}

function describeFault({ message, hint }: SparsebakError): string {
  return hint === undefined ? message : `${message}\n  → ${hint}`;
}

async function sessionsOf(
  archive: OpenArchive,
  volume: CatalogueVolume,
  options: VerifyOptions,
): Promise<(string | undefined)[]> {
  if (options.allSessions !== true) return [options.session];
  // The newest by the catalogue, whether the receiver lists it or not: one that it withholds is a finding.
  const older = (await sessionNames(archive, volume.id)).filter((name) => name !== volume.session);
  return volume.session === null ? older : [...older, undefined];
}

/** What is to come, by the sizes that are known: of a session that was never listed here, of none. */
async function announce(
  { progress }: CommandContext,
  { state }: OpenArchive,
  chosen: ReadonlyMap<CatalogueVolume, Promise<readonly (string | undefined)[]>>,
): Promise<void> {
  progress.begin('verifying');
  const known = new KnownHeads(state);
  for (const [volume, sessions] of chosen) {
    for (const name of await sessions.catch(() => [])) {
      const session = name ?? volume.session;
      if (session === null || !isSessionName(session)) continue;
      progress.expect(pieceOf(volume, session), known.get(volume.id, session)?.size ?? 0);
    }
  }
}

function pieceOf({ name }: CatalogueVolume, session: string): string {
  return `${name} ${session}`;
}

async function verifyOne(
  context: CommandContext,
  archive: OpenArchive,
  volume: CatalogueVolume,
  name: string | undefined,
  { sample }: VerifyOptions,
  tools: ReadTools,
): Promise<VerifiedSession> {
  const blank = blankOf(volume, name);
  try {
    const session = await findSession(archive, volume, name);
    context.progress.start(pieceOf(volume, session.head.session), session.head.size);
    const wanted = sample === undefined ? {} : { wanted: drawnFrom(sample) };
    const result = await readContent({ session, target: null, ...wanted }, tools);
    const { chunks, bytes, badChunks, bad, indexFault } = result;
    const { session: proven } = session.head;
    if (proven === volume.session) {
      if (badChunks > 0) noteDamage(archive.state.folder, volume.id, proven, result.badRanges);
      else if (sample === undefined) forgetDamage(archive.state.folder, volume.id);
    }
    if (badChunks === 0) {
      const proof = { session: session.head.session, time: Date.now(), chunks };
      noteProof(archive.state.folder, volume.id, sample === undefined ? 'whole' : 'sample', proof);
    }
    const found = { ...blank, session: session.head.session, chunks, bytes, badChunks, bad };
    if (indexFault === undefined) return found;
    // It can be restored all the same, as long as all of its pages are there.
    return { ...found, error: { code: indexFault.code, message: indexFault.message } };
  } catch (caught) {
    const error = asSparsebakError(caught);
    // Damage is a finding, and the next session may be whole; anything else ends what is done for the volume.
    if (!isFinding(error) || archive.client.failure !== undefined) throw error;
    return failed(volume, name, error);
  }
}

function blankOf(volume: CatalogueVolume, session: string | undefined) {
  return { name: volume.name, session: session ?? volume.session ?? '', chunks: 0, bytes: 0, badChunks: 0, bad: [] };
}

function failed(volume: CatalogueVolume, session: string | undefined, error: SparsebakError): VerifiedSession {
  return { ...blankOf(volume, session), error: reportOf(error) };
}

function isFinding({ code }: SparsebakError): boolean {
  return code === 'integrity' || code === 'rollback';
}

/** Draws so many percent of the chunks, and at least one: a sample of nothing would prove nothing. */
function drawnFrom(percentage: number): () => boolean {
  let drawn = 0;
  return () => {
    const take = drawn === 0 || randomInt(1_000_000) < percentage * 10_000;
    if (take) drawn++;
    return take;
  };
}

function asText(results: readonly VerifiedSession[], { sample }: VerifyOptions): string {
  if (results.length === 0) return 'The archive has no volume yet.';
  const rows = results.map(({ name, session, chunks, bytes, badChunks, error }) => [
    name,
    session,
    String(chunks),
    formatBytes(bytes),
    error?.message ??
      (badChunks === 0
        ? sample === undefined
          ? 'proven'
          : `sample of ${sample} % proven`
        : `${badChunks} chunks DAMAGED`),
  ]);
  const details = results.flatMap(({ name, session, bad }) =>
    bad.map(({ address, reason }) => `${name} ${session}: chunk at ${address}: ${reason}`),
  );
  return [formatTable(['VOLUME', 'SESSION', 'CHUNKS', 'DATA', ''], rows, [2, 3]), ...details].join('\n');
}
