/**
 * Runs a change to an archive that is not a send: takes the lock, opens the archive and connects to the maintenance
 * service. Unfinished changes of an earlier command are finished first.
 */
import { SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import type { ReceiverClient } from '../link/client.ts';
import { openArchive } from '../proven-archive/open-archive.ts';
import { lockArchive, refuseForeignWriter } from '../proven-archive/write-lock.ts';
import { finishChanges } from './reconcile.ts';
import type { Writer, WriterOptions } from './writer.ts';

/** @throws `locked`, `refused` if another dom0 writes, and what opening the archive throws */
export async function withWriter<T>(options: WriterOptions, work: (writer: Writer) => Promise<T>): Promise<T> {
  const lock = await lockArchive(options);
  const clients: ReceiverClient[] = [];
  try {
    const acceptFork = options.adopts === true && options.acceptRollback === true;
    const opening = { ...options, purpose: 'receive', writes: true, acceptFork } as const;
    const open = await openArchive(options.archive, options.state, opening);
    clients.push(open.client);
    if (options.adopts !== true) refuseForeignWriter(open);
    let second: Promise<ReceiverClient> | undefined;
    const writer: Writer = {
      ...options,
      open,
      async maintenance() {
        if (open.client.grant === 'all') return open.client;
        second ??= openArchive(options.archive, options.state, { ...options, purpose: 'maintain' }).then(
          ({ client }) => {
            clients.push(client);
            return client;
          },
        );
        return await second;
      },
    };
    if (options.adopts !== true) await finishChanges(writer);
    const result = await work(writer);
    if (!options.signal.aborted) for (const client of clients) if (client.failure === undefined) await client.bye();
    return result;
  } catch (error) {
    throw options.signal.aborted ? new SparsebakError('interrupted', 'interrupted') : asSparsebakError(error);
  } finally {
    for (const client of clients) client.close();
    lock.release();
  }
}
