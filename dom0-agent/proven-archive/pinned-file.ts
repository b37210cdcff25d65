/** The files of the pin (pin.ts): one catalogue each, as it was sent to the archive. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SparsebakError, asSparsebakError, systemCode } from '../../shared/errors.ts';
import { objectHash } from '../content/hash.ts';
import type { Catalogue } from '../content/catalogue.ts';
import type { ArchiveState } from './archive-state.ts';

export interface Pinned {
  readonly bytes: Uint8Array;
  readonly hash: Uint8Array;
  readonly catalogue: Catalogue;
}

/** Undefined if there is no such file. @throws `integrity` if it is damaged */
export function loadPinned(
  { folder, content }: Pick<ArchiveState, 'folder' | 'content'>,
  name: 'current' | 'next',
): Pinned | undefined {
  const file = join(folder, name);
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw asSparsebakError(error, 'io', `dom0's state, ${file}`);
  }
  try {
    return { bytes, hash: objectHash(bytes), catalogue: content.openCatalogue(bytes) };
  } catch (error) {
    throw new SparsebakError('integrity', `${file} in dom0 is damaged: ${asSparsebakError(error).message}`, {
      hint: 'Put it back from a copy, or move it away and see what the next send reports.',
      cause: error,
    });
  }
}
