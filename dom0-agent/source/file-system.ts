/** Which file system a folder lies on. */
import { SparsebakError } from '../../shared/errors.ts';
import { runProgram } from '../process/run.ts';

export interface FileSystem {
  readonly uuid: string;
  /** As the kernel names it: `xfs`, `btrfs`, … */
  readonly type: string;
}

/**
 * The UUID comes from the superblock. What statfs(2) tells is no substitute: XFS derives it from the device number,
 * which may be another after a restart.
 */
export async function fileSystemOf(folder: string): Promise<FileSystem> {
  const text = await runProgram('findmnt', ['--noheadings', '--raw', '--output=UUID,FSTYPE', '--target', folder]);
  const [, uuid, type] = /^([0-9a-f-]{4,}) ([\w.]+)\n?$/i.exec(text) ?? [];
  if (uuid === undefined || type === undefined) {
    throw new SparsebakError('source', `${folder}: cannot tell the UUID of its file system (${text.trim()})`, {
      hint: `See whether findmnt --target ${folder} --output UUID prints one, as root.`,
    });
  }
  return { uuid: uuid.toLowerCase(), type };
}
