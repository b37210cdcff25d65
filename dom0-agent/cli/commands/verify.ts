/** `verify`: checks that sessions can be restored, by reading and verifying what a restore would write. */
import { Pace } from '../../../shared/pace.ts';
import { formatBytes } from '../../../shared/terminal/sizes.ts';
import { randomInt } from 'node:crypto';
import { SparsebakError, asSparsebakError, reportOf, type ErrorReport } from '../../../shared/errors.ts';
import { readContent, type ReadResult, type ReadServices } from '../../reading/read-content.ts';
import {
  SEE_CHECK,
  failedRow,
  sessionsToVerify,
  volumesToVerify,
  withoutPruned,
  type VerifiedSession,
  type VolumeToVerify,
} from '../../reading/sessions-to-verify.ts';
import { damagedFiles, type ArchiveFileDamage } from '../../proven-archive/archive-files.ts';
import { forgetDamage, noteDamage } from '../../proven-archive/found-damage.ts';
import { KnownHeads } from '../../proven-archive/known-heads.ts';
import type { OpenArchive } from '../../proven-archive/open-archive.ts';
import { noteProof } from '../../proven-archive/proofs.ts';
import type { ProvenSession } from '../../proven-archive/proven-reader.ts';
import { isVolumeError, namingVolume } from '../../proven-archive/volume-error.ts';
import type { CommandContext } from '../command-context.ts';
import { formatTable } from '../output.ts';
import { printVolumeErrors, statusOfErrors, type VolumeError } from '../volume-errors.ts';
import { withArchive } from '../with-archive.ts';
import { withWorkers } from '../with-workers.ts';

export interface VerifyOptions {
  readonly session?: string;
  readonly allSessions?: boolean;
  /** Percent of the chunks. */
  readonly sample?: number;
  /** Bytes a second. */
  readonly limitRate?: number;
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
      const services: ReadServices = {
        ...{ client: archive.client, reader: archive.reader, workers: pool, signal: context.signal },
        pace: new Pace(options.limitRate ?? Infinity),
        onProgress: (bytes) => {
          context.progress.add(bytes);
        },
        onSkipped: (bytes) => {
          context.progress.skip(bytes);
        },
      };
      const files = await damagedFiles(archive);
      const { results, ended } = await verifyAll({ context, archive, options, services }, names);
      context.progress.clear();
      const error = ended === undefined ? {} : { error: reportOf(ended) };
      context.conclude({ sessions: results, files: files.map(asFinding), ...error }, () =>
        [asText(results, options), ...files.map(({ fault }) => describeFault(fault))].join('\n'),
      );
      const errors = results.flatMap((row) => asError(row, ended));
      printVolumeErrors(errors);
      const status = files.length > 0 ? 4 : statusOfErrors(errors);
      if (ended !== undefined && (ended.code === 'interrupted' || status === 0)) throw ended;
      return status;
    }),
  );
}

interface Verifying {
  readonly context: CommandContext;
  readonly archive: OpenArchive;
  readonly options: VerifyOptions;
  readonly services: ReadServices;
}

/** If an error ends the command, what was verified before it is still reported. */
async function verifyAll(
  verifying: Verifying,
  names: readonly string[],
): Promise<{ readonly results: readonly VerifiedSession[]; readonly ended: SparsebakError | undefined }> {
  const { context, archive, options } = verifying;
  // Takes long in a large archive, so it is done once for all volumes.
  const stored = await archive.reader.volumes();
  const chosen = volumesToVerify(archive, stored, names, options);
  announce(context, archive, chosen);
  const results: VerifiedSession[] = [];
  let ended: SparsebakError | undefined;
  for (const each of chosen) {
    const rows: VerifiedSession[] = [];
    try {
      for await (const found of sessionsToVerify(archive, stored, each)) {
        rows.push(found.kind === 'failed' ? found.row : await verifyOne(verifying, found.session));
      }
    } catch (caught) {
      const isAborted = context.signal.aborted;
      const error = isAborted ? new SparsebakError('interrupted', 'interrupted') : asSparsebakError(caught);
      ended ??= error;
      const session = each.sessions.find((name) => !rows.some((row) => row.session === name));
      rows.push(failedRow(each.volume.name, session ?? '', error));
    }
    results.push(...rows.sort((a, b) => (a.session < b.session ? -1 : 1)));
    if (context.signal.aborted || archive.client.failure !== undefined) break;
  }
  return { results: await withoutPruned(archive, results), ended };
}

/** A slot, or the archive's catalogue. */
function asFinding({ file, fault: { code, message, hint } }: ArchiveFileDamage): unknown {
  return { file, error: { code, message, ...(hint === undefined ? {} : { hint }) } };
}

function describeFault({ message, hint }: SparsebakError): string {
  return hint === undefined ? message : `${message}\n  → ${hint}`;
}

/** Announces the work by known sizes: of a session that was never listed here the size is unknown. */
function announce({ progress }: CommandContext, { state }: OpenArchive, chosen: readonly VolumeToVerify[]): void {
  progress.begin('verifying');
  const known = new KnownHeads(state);
  for (const { volume, sessions } of chosen) {
    for (const session of sessions) {
      progress.expect(`${volume.name} ${session}`, known.get(volume.id, session)?.size ?? 0);
    }
  }
}

async function verifyOne(
  { context, archive, options: { sample }, services }: Verifying,
  session: ProvenSession,
): Promise<VerifiedSession> {
  const volume = archive.pinned.catalogue.volumes.find(({ id }) => id === session.volume);
  const name = volume?.name ?? session.head.name;
  const { session: of, size } = session.head;
  const place = { id: session.volume, name, session: of, hint: SEE_CHECK };
  try {
    context.progress.start(`${name} ${of}`, size);
    const wanted = sample === undefined ? {} : { wanted: drawnFrom(sample) };
    const result = await readContent({ session, target: null, ...wanted }, services);
    const isNewest = of === volume?.session;
    noteFinding(archive.state.folder, session, result, { isNewest, isSample: sample !== undefined });
    const { chunks, bytes, badChunks, bad, indexFault } = result;
    const found = { name, session: of, chunks, bytes, badChunks, bad };
    // The session can still be restored if all of its pages are there.
    return indexFault === undefined ? found : { ...found, error: reportOf(namingVolume(indexFault, place)) };
  } catch (caught) {
    // Damage is a result, and the next session may be intact; any other error ends the work on the volume.
    if (!isVolumeError(caught, archive.client)) throw caught;
    return failedRow(name, of, namingVolume(caught, place));
  }
}

/** For `list` and `status`, and for the next send. */
function noteFinding(
  folder: string,
  { volume, head: { session } }: ProvenSession,
  { badChunks, badRanges, chunks }: ReadResult,
  { isNewest, isSample }: { readonly isNewest: boolean; readonly isSample: boolean },
): void {
  if (isNewest) {
    if (badChunks > 0) noteDamage(folder, volume, session, badRanges);
    else if (!isSample) forgetDamage(folder, volume);
  }
  if (badChunks > 0) return;
  noteProof(folder, volume, isSample ? 'sample' : 'whole', { session, time: Date.now(), chunks });
}

/** Draws a percentage of the chunks, and at least one: an empty sample would show nothing. */
function drawnFrom(percentage: number): () => boolean {
  let drawn = 0;
  return () => {
    const take = drawn === 0 || randomInt(1_000_000) < percentage * 10_000;
    if (take) drawn++;
    return take;
  };
}

/** @param ended is printed separately */
function asError(
  { name, session, badChunks, error }: VerifiedSession,
  ended: SparsebakError | undefined,
): VolumeError[] {
  if (error !== undefined) return error.message === ended?.message ? [] : [{ name, error }];
  if (badChunks === 0) return [];
  const message = `${name}, session ${session}: ${badChunks} chunks are damaged`;
  return [{ name, error: { code: 'integrity', message, hint: BAD_CHUNKS_HINT } }];
}

const BAD_CHUNKS_HINT =
  'Such a session cannot be restored completely. If it is the newest, the next send sends the damaged parts again; ' +
  'older ones need an intact copy of the backup disk.';

function asText(results: readonly VerifiedSession[], { sample }: VerifyOptions): string {
  if (results.length === 0) return 'The archive has no volume yet.';
  const rows = results.map(({ name, session, chunks, bytes, badChunks, error, alike }) => [
    name,
    session,
    String(chunks),
    formatBytes(bytes),
    failureText(error, alike) ??
      (badChunks === 0
        ? sample === undefined
          ? 'verified'
          : `sample of ${sample} % verified`
        : `${badChunks} chunks DAMAGED`),
  ]);
  const details = results.flatMap(({ name, session, bad }) =>
    bad.map(({ address, reason }) => `${name} ${session}: chunk at ${address}: ${reason}`),
  );
  return [formatTable(['VOLUME', 'SESSION', 'CHUNKS', 'DATA', ''], rows, [2, 3]), ...details].join('\n');
}

function failureText(error: ErrorReport | undefined, alike = 0): string | undefined {
  if (error === undefined) return undefined;
  return alike === 0 ? error.message : `${error.message}; and ${alike} more sessions with this error`;
}
