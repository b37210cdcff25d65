/**
 * Names inside an archive's folder (docs/format.md, section 2). A path in a message is always relative to that folder.
 */
import type { PairingId, SessionName, VolumeId } from '../../../shared/archive/names.ts';
import { isId, isSessionName } from '../../../shared/archive/names.ts';

export const DESCRIPTION = 'archive.json';
export const CATALOGUE = 'catalogue';
export const KEYS = 'keys';
export const VOLUMES = 'volumes';

export const VOLUME_NAME = 'name';
export const NEWEST_EVER = 'newest';

export const HEAD = 'head';
export const INDEX = 'index';
export const SIZE = 'size';
export const STATS = 'stats';
export const PROTECT = 'protect';
export const PAGE = 'page';
export const CHECKSUMS = 'sha256';
export const CHECKPOINT = 'checkpoint';

const UNFINISHED = '.tmp-';
const HIDDEN = '.pruning';

export function volumeFolder(volume: VolumeId): string {
  return `${VOLUMES}/${volume}`;
}

export function unfinishedFolder(pairing: PairingId): string {
  return UNFINISHED + pairing;
}

/** The pairing id of a send's folder; undefined for any other name. */
export function pairingOf(folder: string): PairingId | undefined {
  if (!folder.startsWith(UNFINISHED)) return undefined;
  const id = folder.slice(UNFINISHED.length);
  return isId(id) ? (id as PairingId) : undefined;
}

/** The session that a folder holds; `hidden` while it is being pruned. Undefined for any other name. */
export function sessionOf(folder: string): { readonly session: SessionName; readonly hidden: boolean } | undefined {
  const hidden = folder.endsWith(HIDDEN);
  const session = hidden ? folder.slice(0, -HIDDEN.length) : folder;
  return isSessionName(session) ? { session, hidden } : undefined;
}
