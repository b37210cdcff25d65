/** Shows a notice to the users who are logged in on this computer, by notify-send(1) and their own session bus. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { escapeText } from '../../shared/text.ts';
import { runCommand } from '../process/run-command.ts';

/** systemd-logind makes a folder with the number of each user who is logged in. */
export const RUNTIME_FOLDERS = '/run/user';
/** Smaller numbers are those of system accounts, such as the display manager's. */
const FIRST_USER = 1000;
const LIMIT = 10_000;

export interface Session {
  readonly uid: number;
  readonly gid: number;
  readonly bus: string;
}

/** @returns what went wrong, in words */
export async function showOnDesktops(
  { isUrgent, summary }: { readonly isUrgent: boolean; readonly summary: string },
  folder = RUNTIME_FOLDERS,
): Promise<string[]> {
  const own = process.getuid?.() ?? 0;
  const failures: string[] = [];
  for (const { uid, gid, bus } of sessionsIn(folder)) {
    if (own !== 0 && own !== uid) continue;
    const urgency = isUrgent ? 'critical' : 'low';
    const text = withoutMarkup(escapeText(summary, 400));
    try {
      await runCommand({
        name: `the notice on the desktop of user ${uid}`,
        command: ['notify-send', `--urgency=${urgency}`, '--app-name=sparsebak', '--', 'Backup', text],
        env: { DBUS_SESSION_BUS_ADDRESS: `unix:path=${bus}`, XDG_RUNTIME_DIR: join(folder, String(uid)) },
        limit: LIMIT,
        ...(own === 0 ? { user: { uid, gid } } : {}),
      });
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  return failures;
}

/** A desktop takes the text for markup, and parts of it come from the receiver and from names of files. */
function withoutMarkup(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Of the users who are logged in. */
export function sessionsIn(folder: string): Session[] {
  const found: Session[] = [];
  for (const name of names(folder)) {
    if (!/^\d{1,10}$/.test(name) || Number(name) < FIRST_USER) continue;
    const bus = join(folder, name, 'bus');
    try {
      const { uid, gid } = statSync(join(folder, name));
      if (uid === Number(name) && statSync(bus).isSocket()) found.push({ uid, gid, bus });
    } catch {
      // Logged out meanwhile, or without a session bus.
    }
  }
  return found;
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
