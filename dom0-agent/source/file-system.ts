/** The file system of a folder. */
import { SparsebakError } from '../../shared/errors.ts';
import { runProgram } from '../process/run-program.ts';

export interface FileSystem {
  readonly uuid: string;
  /** As the kernel names it: `xfs`, `btrfs`, … */
  readonly type: string;
}

/**
 * The UUID comes from the superblock. The id of statfs(2) is no substitute: XFS derives it from the device number,
 * which may change at a restart.
 */
export async function fileSystemOf(folder: string): Promise<FileSystem> {
  const text = await runProgram('findmnt', ['--noheadings', '--raw', '--output=UUID,FSTYPE', '--target', folder]);
  const [, uuid, type] = /^([0-9a-f-]{4,}) ([\w.]+)\n?$/i.exec(text) ?? [];
  if (uuid === undefined || type === undefined) {
    throw new SparsebakError('source', `${folder}: cannot find the UUID of its file system (${text.trim()})`, {
      hint: `Check as root whether findmnt --target ${folder} --output UUID prints one.`,
    });
  }
  return { uuid: uuid.toLowerCase(), type };
}
