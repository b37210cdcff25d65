/** A session's exact bytes in a file, device or volume, or an error and nothing that could be taken for them. */
import { SparsebakError } from '../../shared/errors.ts';
import { jobFile } from '../pipeline/jobs.ts';
import type { Finished, Target } from '../source/target.ts';
import type { ProvenSession } from '../trust/proven-reader.ts';
import { namingVolume } from '../trust/volume-fault.ts';
import { readContent, type ReadResult, type ReadTools } from './read-content.ts';

export interface Restored extends ReadResult, Finished {}

/** @throws `integrity` when any chunk is missing or wrong; `target` when it cannot be written */
export async function restore(session: ProvenSession, target: Target, tools: ReadTools): Promise<Restored> {
  const onWritten = (bytes: number): void => {
    target.wrote(bytes);
  };
  const request = { session, target: jobFile(target.path, session.head.name), onWritten, stopAtBad: true };
  const { zeros: onZeros } = target;
  try {
    const result = await readContent(onZeros === undefined ? request : { ...request, onZeros }, tools);
    if (result.badChunks > 0) throw damaged(session, result);
    await tools.pool.closeFiles();
    tools.signal.throwIfAborted();
    return { ...result, ...(await target.finish()) };
  } catch (error) {
    await tools.pool.closeFiles().catch(() => undefined);
    await target.abandon();
    throw isDamage(error) ? explained(error, session) : error;
  }
}

function isDamage(error: unknown): error is SparsebakError {
  return error instanceof SparsebakError && error.code === 'integrity';
}

const HINT =
  'Nothing was left at the target. "sparsebak verify --all-sessions" tells which sessions are whole: restore one of them with --session.';

/** What is wrong with the archive, by the user's name for the volume. */
function explained(error: SparsebakError, { volume: id, head: { name, session } }: ProvenSession): SparsebakError {
  return namingVolume(error, { id, name, session, hint: HINT });
}

function damaged({ head }: ProvenSession, { bad, badChunks }: ReadResult): SparsebakError {
  const [first] = bad;
  return new SparsebakError(
    'integrity',
    `session ${head.session} of ${head.name} cannot be restored: ${first?.reason ?? 'damaged'} (chunk at ${first?.address ?? 0}${badChunks > 1 ? `, and ${badChunks - 1} more` : ''})`,
    { hint: HINT },
  );
}
