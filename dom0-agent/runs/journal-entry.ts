/**
 * One entry of the systemd journal for the end of each run that systemd started, with fields to search by. Node cannot
 * write to the journal's socket; logger(1) can.
 */
import { runCommand } from '../process/run-command.ts';
import { PRIORITY } from '../../shared/terminal/journal.ts';
import type { Notice } from './notice.ts';

/** Identifies these entries (systemd.journal-fields(7)). */
const MESSAGE_ID = '5b1d9c0e8f6c4f3c9a70a4c2f4be9d11';
const LIMIT = 10_000;

/** @throws `failed` if logger(1) fails */
export async function writeJournalEntry(
  notice: Pick<Notice, 'event' | 'summary' | 'command' | 'archive' | 'status'>,
): Promise<void> {
  const { event, summary, command, archive, status } = notice;
  const fields = {
    MESSAGE: summary,
    MESSAGE_ID,
    PRIORITY: event === 'failure' ? PRIORITY.error : event === 'overdue' ? PRIORITY.warning : PRIORITY.info,
    SYSLOG_IDENTIFIER: 'sparsebak',
    SPARSEBAK_COMMAND: command,
    SPARSEBAK_ARCHIVE: archive ?? '',
    SPARSEBAK_EVENT: event,
    SPARSEBAK_STATUS: status,
  };
  // A line is a field; a value with line ends would need another form.
  const lines = Object.entries(fields).map(([name, value]) => `${name}=${String(value).replaceAll(/\s*\n\s*/g, ' ')}`);
  await runCommand({
    name: 'logger',
    command: ['logger', '--journald'],
    env: {},
    input: `${lines.join('\n')}\n`,
    limit: LIMIT,
  });
}
