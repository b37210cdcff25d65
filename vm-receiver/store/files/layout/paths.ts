/**
 * Names inside an archive's folder (docs/format.md, section 2). A path in a message is always relative to that folder.
 */
import type { PairingId, SessionName, VolumeId } from '../../../../shared/archive/names.ts';
import { isId, isSessionName } from '../../../../shared/archive/names.ts';

export const DESCRIPTION = 'archive.json';
export const CATALOGUE = 'catalogue';
export const KEYS = 'keys';
export const VOLUMES = 'volumes';
export const DEDUP_STORE = 'pool';
export const SCRUB = 'scrub';
export const KEPT = 'kept';
export const SENDING = 'sending';
/** Suffix of a link that is about to replace another. */
export const LINK = '.link';

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
const DROPPED = '.dropped-';
const DELETED = '.deleted-';

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

/** The session of a folder; `hidden` while it is being pruned. Undefined for any other name. */
export function sessionOf(folder: string): { readonly session: SessionName; readonly hidden: boolean } | undefined {
  const hidden = folder.endsWith(HIDDEN);
  const session = hidden ? folder.slice(0, -HIDDEN.length) : folder;
  return isSessionName(session) ? { session, hidden } : undefined;
}

export function hiddenFolder(session: SessionName): string {
  return session + HIDDEN;
}

/** The folder of a pruned session that nothing needs any more and that is being removed. */
export function droppedFolder(session: SessionName): string {
  return DROPPED + session;
}

export function isDropped(folder: string): boolean {
  return folder.startsWith(DROPPED) && isSessionName(folder.slice(DROPPED.length));
}

/** The folder of a volume that is being removed. */
export function deletedFolder(volume: VolumeId): string {
  return DELETED + volume;
}

export function isDeleted(folder: string): boolean {
  return folder.startsWith(DELETED) && isId(folder.slice(DELETED.length));
}

/** The address that a range begins at, from its folder's name. */
export function firstAddressOf(rangeFolder: string): number {
  return parseInt(`${rangeFolder}000000`, 16);
}
