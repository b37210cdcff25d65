/** Makes readable what a receiver's process wrote to standard error before it ended, for a message to the user. */
import { escapeText } from '../../shared/text.ts';

/** Lines that are shown. */
const SHOWN = 3;
/** The last line that Node prints when a program does not start or crashes. */
const NODE_GAVE_UP = /^Node\.js v\d/;
const ERROR_LINE = /^(?:Uncaught )?\w*Error(?: \[\w+\])?: /;

/**
 * The last lines, escaped and on one line. Of Node's report of a crash the line with the reason is shown, not its end.
 */
export function lastWords(stderr: string): string {
  const lines = stderr
    .split('\n')
    .map((line) => logged(line.trim()))
    .filter((line) => line !== '');
  const last = lines.at(-1);
  const reason = lines.findLast((line) => ERROR_LINE.test(line));
  const shown = last !== undefined && reason !== undefined && NODE_GAVE_UP.test(last) ? [reason, last] : lines;
  return shown
    .slice(-SHOWN)
    .map((line) => escapeText(line, 500))
    .join('; ');
}

/** A line of the receiver's log is a JSON object; only its message is shown. */
function logged(line: string): string {
  if (!line.startsWith('{')) return line;
  try {
    const { msg, cause } = JSON.parse(line) as { msg?: unknown; cause?: unknown };
    if (typeof msg !== 'string') return line;
    return typeof cause === 'string' ? `${msg} (${cause})` : msg;
  } catch {
    return line;
  }
}
