/** Where programs are looked for. */
import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';

/** When started by a timer or through qrexec, PATH may lack the folders of filefrag, lvm and qrexec-client. */
const MORE_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/usr/bin', '/sbin', '/bin', '/usr/lib/qubes'];

/** Whether it can be started by its name. */
export function isInPath(program: string): boolean {
  const folders = [...(process.env.PATH ?? '').split(':').filter((folder) => folder !== ''), ...MORE_FOLDERS];
  return folders.some((folder) => isExecutable(join(folder, program)));
}

/** Whether this user can start the file. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
