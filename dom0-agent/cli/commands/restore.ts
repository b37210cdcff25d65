/** `restore`: a volume as it was at a session. */
import { SparsebakError } from '../../../shared/errors.ts';
import { findSession, listedVolumes } from '../../restore/find-session.ts';
import { restore as runRestore } from '../../restore/restore.ts';
import { noteProof } from '../../trust/proofs.ts';
import type { CommandContext } from '../context.ts';
import { formatBytes, formatSeconds, print, printJson } from '../output.ts';
import { withArchive } from '../with-archive.ts';
import { withWorkers } from '../with-workers.ts';

export interface RestoreCommandOptions {
  readonly to?: string;
  readonly session?: string;
  readonly force?: boolean;
  /** Without the key: a plain archive's content as it is there. */
  readonly unauthenticated?: boolean;
}

export async function restore(context: CommandContext, name: string, options: RestoreCommandOptions): Promise<number> {
  const { to } = options;
  if (to === undefined) {
    throw new SparsebakError('usage', 'say where to restore to', { hint: `sparsebak restore ${name} --to PATH` });
  }
  if (options.unauthenticated === true) {
    return (await import('./restore-unauthenticated.ts')).restoreUnauthenticated(context, name, { ...options, to });
  }
  return withArchive(context, (archive) =>
    withWorkers(archive.state, async (pool) => {
      const began = Date.now();
      const [volume] = listedVolumes(archive, [name]);
      if (volume === undefined) throw new SparsebakError('usage', `the archive has no volume "${name}"`);
      const session = await findSession(archive, volume, options.session);
      context.progress.begin(`restoring ${name}`, session.head.size);
      const result = await runRestore(
        { session, to, force: options.force === true },
        {
          ...{ client: archive.client, reader: archive.reader, pool, signal: context.signal },
          onProgress: (bytes) => {
            context.progress.add(bytes);
          },
        },
      );
      const proof = { session: session.head.session, time: Date.now(), chunks: result.chunks };
      noteProof(archive.state.folder, volume.id, 'whole', proof);
      context.progress.clear();
      const seconds = (Date.now() - began) / 1000;
      const { head } = session;
      if (context.json) {
        const { session: sessionName, size: sizeBytes, state } = head;
        printJson({
          name,
          session: sessionName,
          to,
          sizeBytes,
          dataBytes: result.bytes,
          chunks: result.chunks,
          state,
          seconds,
        });
      } else {
        print(
          `${name} as of ${head.session} is in ${to}: ${formatBytes(head.size)}, ${formatBytes(result.bytes)} of data, every chunk proven, in ${formatSeconds(seconds)}.`,
        );
      }
      return 0;
    }),
  );
}
