/** `restore`: a volume as it was at a session. */
import { escapeText } from '../../../shared/text.ts';
import { formatBytes, formatSeconds } from '../../../shared/terminal/sizes.ts';
import { SparsebakError } from '../../../shared/errors.ts';
import { choosePool } from '../../capture/pools.ts';
import { findSession, listedVolumes } from '../../proven-archive/find-session.ts';
import { occupiedBytes } from '../../reading/stored-size.ts';
import { ownPlaces } from '../../config/own-places.ts';
import { restore as runRestore, type Restored } from '../../restore/restore-session.ts';
import { openTarget } from '../../restore/open-target.ts';
import type { Target } from '../../source/target.ts';
import { archivedOwnership } from '../../proven-archive/archived-ownership.ts';
import type { OpenArchive } from '../../proven-archive/open-archive.ts';
import { noteProof } from '../../proven-archive/proofs.ts';
import type { ProvenSession } from '../../proven-archive/proven-reader.ts';
import type { CommandContext } from '../command-context.ts';
import { print, printJson } from '../output.ts';
import { withArchive } from '../with-archive.ts';
import { withWorkers } from '../with-workers.ts';
import { givenPath } from '../working-folder.ts';

export interface RestoreCommandOptions {
  readonly to?: string;
  readonly as?: string;
  readonly replace?: boolean;
  readonly pool?: string;
  readonly session?: string;
  readonly force?: boolean;
  /** Without the key: a plain archive's content, unverified. */
  readonly unauthenticated?: boolean;
}

type Destination =
  | { readonly kind: 'path'; readonly path: string; readonly force: boolean }
  | { readonly kind: 'volume'; readonly name: string; readonly replaces: boolean; readonly pool: string | undefined };

export async function restore(context: CommandContext, name: string, options: RestoreCommandOptions): Promise<number> {
  const destination = destinationOf(name, options);
  if (options.unauthenticated === true) {
    if (destination.kind !== 'path') {
      throw new SparsebakError('usage', '--unauthenticated is only allowed with --to', {
        hint: 'Unverified content can only be restored to a file.',
      });
    }
    const to = destination.path;
    return (await import('./restore-unauthenticated.ts')).restoreUnauthenticated(context, name, { ...options, to });
  }
  return withArchive(context, 'retrieve', (archive) =>
    withWorkers(archive.state, async (pool) => {
      const began = Date.now();
      const [volume] = listedVolumes(archive, [name]);
      if (volume === undefined) throw new SparsebakError('not-found', `the archive has no volume "${name}"`);
      const session = await findSession(archive, volume, options.session);
      const target = await open(context, destination, session, archive);
      context.progress.begin('restoring');
      context.progress.start(name, session.head.size);
      const restored = await runRestore(session, target, {
        ...{ client: archive.client, reader: archive.reader, workers: pool, signal: context.signal },
        onProgress: (bytes) => {
          context.progress.add(bytes);
        },
        onSkipped: (bytes) => {
          context.progress.skip(bytes);
        },
      });
      if (restored.indexFault !== undefined) {
        context.log.warn(
          { volume: name },
          `${name}: ${restored.indexFault.message}; all its pages are intact, and were verified without it`,
        );
      }
      const proof = { session: session.head.session, time: Date.now(), chunks: restored.chunks };
      noteProof(archive.state.folder, volume.id, 'whole', proof);
      context.progress.clear();
      report(context, name, session, restored, (Date.now() - began) / 1000);
      return 0;
    }),
  );
}

function destinationOf(name: string, { to, as, replace, pool, force }: RestoreCommandOptions): Destination {
  const ways = [to, as, replace].filter((way) => way !== undefined).length;
  if (ways !== 1) {
    throw new SparsebakError(
      'usage',
      ways === 0 ? 'no place to restore to is given' : 'give only one place to restore to',
      {
        hint: `sparsebak restore ${name} --to PATH, or --as NAME for a new volume, or --replace for the volume itself.`,
      },
    );
  }
  if (to !== undefined) {
    if (pool === undefined) return { kind: 'path', path: givenPath(to), force: force === true };
    throw new SparsebakError('usage', '--pool is only allowed with --as or --replace', { hint: 'Leave it out.' });
  }
  if (force === true) {
    throw new SparsebakError('usage', '--force is only allowed with --to', {
      hint: 'Leave it out. --replace keeps the old volume under another name.',
    });
  }
  return { kind: 'volume', name: as ?? name, replaces: as === undefined, pool };
}

async function open(
  context: CommandContext,
  destination: Destination,
  session: ProvenSession,
  archive: OpenArchive,
): Promise<Target> {
  const { size } = session.head;
  const bytesIn = (block: number): Promise<number> => occupiedBytes(session, archive.reader, block);
  if (destination.kind === 'path') {
    const { path, force } = destination;
    return await openTarget({ path, size, force, own: ownPlaces(context.config), bytesIn });
  }
  const { name, replaces } = destination;
  const archived = session.head.name;
  const { source } = await choosePool(context.pools(), archived, destination.pool);
  const { volume: id, session: sessionName } = session.head;
  const ownership = archivedOwnership(archive.state.folder, id, sessionName);
  return await source.newVolume({ name, archived, ownership, size, replaces, bytesIn });
}

function report(
  { json }: CommandContext,
  name: string,
  { head }: ProvenSession,
  { to, kept, bytes, chunks, private: isPrivate = false }: Restored,
  seconds: number,
): void {
  if (json) {
    const { session, size: sizeBytes, state } = head;
    const place = kept === undefined ? { to } : { to, kept: kept.name, private: isPrivate };
    printJson({ name, session, ...place, sizeBytes, dataBytes: bytes, chunks, state, seconds });
    return;
  }
  print(
    `${escapeText(name, 4096)} as of ${head.session} is in ${escapeText(to, 4096)}: ${formatBytes(head.size)}, ` +
      `${formatBytes(bytes)} of data, every chunk verified, in ${formatSeconds(seconds)}.`,
  );
  if (kept !== undefined) {
    if (isPrivate) {
      print(
        'Only root may read it (mode 600): the owner or mode of the file that it replaced has changed since it was ' +
          'archived, or is not known from then. Set them with chown and chmod.',
      );
    }
    print(`The old volume is kept as ${kept.name}. When it is no longer needed: ${kept.removal}`);
  }
}
