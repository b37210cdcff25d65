/** Reads a session's head from the disk. */
import { join } from 'node:path';
import { Refusal } from '../../refusal.ts';
import type { StoredHead } from '../../store.ts';
import { MAX_SMALL } from './max-lengths.ts';
import { readSmall } from '../disk/small-file.ts';
import { HEAD } from './paths.ts';
import type { StoredSession } from './sessions.ts';
import type { VolumePlace } from './volume-place.ts';

/** @throws Refusal `io` if it is missing, empty or unreadable */
export function readHead(
  { disk, volumeName }: Pick<VolumePlace, 'disk' | 'volumeName'>,
  { session, path }: StoredSession,
): StoredHead {
  const name = `${volumeName}/${session}/${HEAD}`;
  const data = readSmall(disk, join(path, HEAD), name, MAX_SMALL);
  if (data === undefined) throw new Refusal('io', `${name} is missing`);
  if (data.length === 0) throw new Refusal('io', `${name} is empty`);
  return { session, data };
}
