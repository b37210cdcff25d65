/**
 * Folders that must not be in a pool: the archive, which would back up itself and grow with every send, and dom0's
 * state with its keys. Symbolic links and bind mounts are resolved.
 */
import { join, relative } from 'node:path';
import { SparsebakError } from '../../shared/errors.ts';
import { ownPlaces } from '../config/own-places.ts';
import { isWithin, readMounts, realPath, type Mount } from '../source/mounts.ts';
import type { Config } from '../config/config.ts';

/** The error if a pool and one of these folders contain one another. */
export async function misplacedFolder(config: Config): Promise<SparsebakError | undefined> {
  const mounts = await readMounts();
  for (const pool of config.pools) {
    if (pool.type === 'lvm-thin') continue;
    const folder = await placeOf(pool.path, mounts);
    for (const { path, what } of ownPlaces(config)) {
      const place = await placeOf(path, mounts);
      if (!holds(folder, place) && !holds(place, folder)) continue;
      return new SparsebakError(
        'config',
        `${config.file}: ${what} (${path}) and pool.${pool.name} (${pool.path}) contain one another`,
        {
          hint:
            `Move ${path === config.stateDir ? 'state_dir' : 'the destination'} out of the pool's folder, ` +
            'or give the pool a folder that contains only volumes.',
        },
      );
    }
  }
  return undefined;
}

interface Place {
  /** Without symbolic links. */
  readonly path: string;
  /** The file system's device number, and the path within it: the same whichever mount leads there. */
  readonly device: string;
  readonly within: string;
}

function holds(outer: Place, inner: Place): boolean {
  return isWithin(outer.path, inner.path) || (outer.device === inner.device && isWithin(outer.within, inner.within));
}

async function placeOf(path: string, mounts: readonly Mount[]): Promise<Place> {
  const real = await realPath(path);
  // Of two mounts at one point the later covers the earlier.
  const [mount] = mounts
    .filter(({ point }) => isWithin(point, real))
    .reverse()
    .sort((a, b) => b.point.length - a.point.length);
  if (mount === undefined) return { path: real, device: '', within: real };
  return { path: real, device: mount.device, within: join(mount.root, relative(mount.point, real)) };
}
