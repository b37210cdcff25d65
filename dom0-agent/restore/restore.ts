/** A session's exact bytes in a file or device, or an error and nothing that could be taken for them. */
import { SparsebakError } from '../../shared/errors.ts';
import { jobFile } from '../pipeline/jobs.ts';
import { readContent, type ReadResult, type ReadTools } from './read-content.ts';
import { openTarget } from './target.ts';
import type { ProvenSession } from '../trust/proven-reader.ts';

export interface RestoreRequest {
  readonly session: ProvenSession;
  readonly to: string;
  readonly force: boolean;
}

/** @throws `integrity` when any chunk is missing or wrong; `target` when it cannot be written */
export async function restore({ session, to, force }: RestoreRequest, tools: ReadTools): Promise<ReadResult> {
  const target = openTarget(to, session.head.size, force);
  let result: ReadResult;
  try {
    result = await readContent(
      {
        session,
        target: jobFile(target.path),
        onWritten: (bytes) => {
          target.wrote(bytes);
        },
        ...(target.needsZeros ? { onZeros: target.zeros } : {}),
        stopAtBad: true,
      },
      tools,
    );
    if (result.badChunks > 0) throw damaged(session, result);
  } catch (error) {
    await target.abandon();
    throw error;
  }
  await target.finish();
  return result;
}

function damaged({ head }: ProvenSession, { bad, badChunks }: ReadResult): SparsebakError {
  const [first] = bad;
  return new SparsebakError(
    'integrity',
    `session ${head.session} of ${head.name} cannot be restored: ${first?.reason ?? 'damaged'} (chunk at ${first?.address ?? 0}${badChunks > 1 ? `, and ${badChunks - 1} more` : ''})`,
    { hint: 'Nothing was left at the target. "sparsebak verify --all-sessions" tells which sessions are whole.' },
  );
}
