/** Has the application menu of a desktop show a qube's programs, as the user who is logged in. */
import { readFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../process/run-command.ts';
import { sessionsIn, RUNTIME_FOLDERS } from './desktop.ts';

const PROGRAM = '/usr/bin/qvm-appmenus';
const LIMIT = 60_000;

/** @returns what the user has to do; undefined: nothing */
export async function updateAppMenus(qube: string): Promise<string | undefined> {
  if (!existsSync(PROGRAM)) return undefined;
  const own = process.getuid?.() ?? 0;
  const [session] = sessionsIn(RUNTIME_FOLDERS).filter(({ uid }) => own === 0 || own === uid);
  const byHand = `run as your user: qvm-appmenus --update ${qube}`;
  if (session === undefined) return `nobody is logged in: ${byHand}`;
  const { uid, gid, bus } = session;
  try {
    await runCommand({
      name: `qvm-appmenus of user ${uid}`,
      command: [PROGRAM, '--update', '--', qube],
      env: {
        ...{ DBUS_SESSION_BUS_ADDRESS: `unix:path=${bus}`, XDG_RUNTIME_DIR: join(RUNTIME_FOLDERS, String(uid)) },
        ...accountOf(uid),
      },
      limit: LIMIT,
      ...(own === 0 ? { user: { uid, gid } } : {}),
    });
    return undefined;
  } catch (error) {
    return `${error instanceof Error ? error.message : String(error)}; ${byHand}`;
  }
}

function accountOf(uid: number): { readonly HOME?: string; readonly USER?: string } {
  try {
    const accounts = readFileSync('/etc/passwd', 'utf8').split('\n');
    const fields = accounts.map((line) => line.split(':')).find((each) => each[2] === String(uid));
    const [name = '', , , , , home = ''] = fields ?? [];
    return home === '' ? {} : { HOME: home, USER: name };
  } catch {
    return {};
  }
}
