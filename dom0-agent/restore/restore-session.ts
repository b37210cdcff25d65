/**
 * Restores a session's exact bytes to a file, device or volume, or fails and leaves nothing that could be taken for
 * them.
 */
import { isIntegrity, SparsebakError } from '../../shared/errors.ts';
import { jobFile } from '../pipeline/jobs.ts';
import type { Finished, Target } from '../source/target.ts';
import type { ProvenSession } from '../proven-archive/proven-reader.ts';
import { namingVolume } from '../proven-archive/volume-error.ts';
import { readContent, type ReadResult, type ReadServices } from '../reading/read-content.ts';

export interface Restored extends ReadResult, Finished {}

/** @throws `integrity` when any chunk is missing or wrong; `target` when it cannot be written */
export async function restore(session: ProvenSession, target: Target, services: ReadServices): Promise<Restored> {
  const onWritten = (bytes: number): void => {
    target.wrote(bytes);
  };
  const request = { session, target: jobFile(target.path, session.head.name), onWritten, stopAtBad: true };
  const { zeros: onZeros } = target;
  try {
    const result = await readContent(onZeros === undefined ? request : { ...request, onZeros }, services);
    if (result.badChunks > 0) throw damaged(session, result);
    await services.workers.closeFiles();
    services.signal.throwIfAborted();
    return { ...result, ...(await target.finish()) };
  } catch (error) {
    await services.workers.closeFiles().catch(() => undefined);
    await target.abandon();
    throw isIntegrity(error) ? explained(error, session) : error;
  }
}

const HINT =
  'Nothing was left at the target. "sparsebak verify --all-sessions" shows which sessions are intact: restore ' +
  'one of them with --session.';

/** The error with the user's name for the volume. */
function explained(error: SparsebakError, { volume: id, head: { name, session } }: ProvenSession): SparsebakError {
  return namingVolume(error, { id, name, session, hint: HINT });
}

function damaged({ head }: ProvenSession, { bad, badChunks }: ReadResult): SparsebakError {
  const [first] = bad;
  return new SparsebakError(
    'integrity',
    `session ${head.session} of ${head.name} cannot be restored: ${first?.reason ?? 'damaged'} (chunk at ` +
      `${first?.address ?? 0}${badChunks > 1 ? `, and ${badChunks - 1} more` : ''})`,
    { hint: HINT },
  );
}
