/** `restore --unauthenticated`: restores from a plain archive whose key is lost. */
import { formatBytes, formatSeconds } from '../../../shared/terminal/sizes.ts';
import { ownPlaces } from '../../config/own-places.ts';
import { restoreUnauthenticated as run } from '../../restore/without-key.ts';
import { connect } from '../../proven-archive/open-archive.ts';
import type { CommandContext } from '../command-context.ts';
import { print, printJson } from '../output.ts';

export async function restoreUnauthenticated(
  context: CommandContext,
  name: string,
  options: { readonly to: string; readonly session?: string; readonly force?: boolean },
): Promise<number> {
  const { archive, lockWait, signal, progress } = context;
  const { to, session, force = false } = options;
  const began = Date.now();
  const client = await connect(archive, { purpose: 'retrieve', signal, onWait: context.onWait });
  try {
    const own = ownPlaces(context.config);
    const request = { archive: archive.name, volume: name, session, to, force, own, lockWait };
    progress.begin('restoring');
    const result = await run(client, request, { signal, progress });
    if (client.failure === undefined) await client.bye();
    progress.clear();
    const seconds = (Date.now() - began) / 1000;
    const { head, chunks, bytes: dataBytes } = result;
    const { session: sessionName, size: sizeBytes, state } = head;
    if (context.json) {
      const counts = { sizeBytes, dataBytes, chunks, state, seconds };
      printJson({ name, session: sessionName, to, ...counts, authenticated: false });
    } else {
      print(
        `${name} as of ${sessionName} is in ${to}: ${formatBytes(sizeBytes)}, ${formatBytes(dataBytes)} of ` +
          `data, in ${formatSeconds(seconds)}. NOTHING of it was verified: the backup disk could have given any bytes.`,
      );
    }
    return 0;
  } finally {
    progress.clear();
    client.close();
  }
}
