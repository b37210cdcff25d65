/** Sparsebak's own folders: dom0's state, and archives on this computer. */
import { join } from 'node:path';
import type { Config } from './config.ts';

export interface OwnPlace {
  readonly path: string;
  /** Its description, for example `the archive "laptop"`. */
  readonly what: string;
}

export function ownPlaces({ stateDir, archives }: Config): OwnPlace[] {
  const local = archives.flatMap(({ name, destination }) =>
    destination.kind === 'local' ? [{ path: join(destination.root, name), what: `the archive "${name}"` }] : [],
  );
  return [{ path: stateDir, what: "sparsebak's state folder" }, ...local];
}
