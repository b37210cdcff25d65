import { pino, type DestinationStream } from 'pino';
import { asSparsebakError } from '../../shared/errors.ts';
import { isJournal, priorityOf, withPriority } from '../../shared/terminal/journal.ts';
import { writeAll } from '../../shared/terminal/write-all.ts';
import { escapeText } from '../../shared/text.ts';
import type { Grant } from '../../shared/wire/grants.ts';
import { Conversation } from '../service/conversation.ts';
import { openInput } from '../service/byte-input.ts';
import { openOutput } from '../service/byte-output.ts';
import { serve } from '../service/serve.ts';
import { TIMING, type Timing } from '../service/timing.ts';
import { admit } from './admission.ts';
import { openStore } from './open-store.ts';
import type { Level } from './level.ts';
import { RELEASE } from '../../shared/release.ts';
import type { Settings } from './settings.ts';

/** Serves one call, from the first byte to the last. Standard output is for the protocol; logs go to standard error. */
export async function serveCommand(
  settings: Settings,
  grant: Grant,
  level: Level,
  timing: Timing = TIMING,
): Promise<number> {
  const log = pino({ name: 'sparsebak-receiver', level }, logStream());
  const conversation = new Conversation(openInput(0), openOutput(1, timing.silence), grant, timing, log);
  try {
    await serve(conversation, {
      store: openStore(settings),
      release: RELEASE,
      ...admit(settings, process.env),
    });
    return 0;
  } catch (thrown) {
    const error = asSparsebakError(thrown);
    const cause = error.cause instanceof Error ? escapeText(error.cause.message, 1000) : undefined;
    log.error({ code: error.code, cause }, escapeText(error.message, 1000));
    return error.exitStatus;
  } finally {
    conversation.close();
  }
}

/** Standard error; if that is the journal, each line with its priority. */
function logStream(): DestinationStream {
  const journal = isJournal(2);
  return {
    write: (line) => {
      if (!journal) {
        writeAll(2, line);
        return;
      }
      const { level } = JSON.parse(line) as { level: number };
      writeAll(2, `${withPriority(line.trimEnd(), priorityOf(level))}\n`);
    },
  };
}
