/** The Qubes system that this is, if it is one. */
import type { Config } from '../../config/config.ts';
import type { SavedQubes } from '../../qubes/known-qubes.ts';
import { Qubesd, type QubeEntry } from '../../qubes/qubesd.ts';
import { QUBESD_SOCKET } from '../../qubes/socket.ts';
import { SparsebakError } from '../../../shared/errors.ts';

export function qubesdOf({ qubes }: Config): Qubesd {
  return new Qubesd(qubes?.socket ?? QUBESD_SOCKET);
}

/** The qubes that are here; undefined if this is not Qubes, or qubesd does not answer. */
export async function qubesHere(qubesd: Qubesd): Promise<QubeEntry[] | undefined> {
  try {
    return await qubesd.qubes();
  } catch (error) {
    if (error instanceof SparsebakError && (error.code === 'config' || error.code === 'source')) return undefined;
    throw error;
  }
}

/** Whether an archived qube is here: by its uuid, or under its name. */
export type Presence =
  | { readonly is: 'here' }
  | { readonly is: 'renamed'; readonly to: string }
  /** Another qube has its name. */
  | { readonly is: 'other' }
  | { readonly is: 'absent' };

/** @param saved what this computer knows of the qubes in the archive: one that was created again has another uuid */
export function presenceOf(
  name: string,
  uuid: string | undefined,
  here: readonly QubeEntry[],
  saved: SavedQubes = new Map(),
): Presence {
  const same = uuid === undefined || uuid === '' ? undefined : here.find((each) => each.uuid === uuid);
  if (same !== undefined) return same.name === name ? { is: 'here' } : { is: 'renamed', to: same.name };
  const named = here.find((each) => each.name === name);
  if (named === undefined) return { is: 'absent' };
  return uuid === undefined || saved.get(named.uuid) === name ? { is: 'here' } : { is: 'other' };
}

export function describePresence(presence: Presence | undefined): string {
  switch (presence?.is) {
    case undefined:
      return '?';
    case 'here':
      return 'yes';
    case 'renamed':
      return `as ${presence.to}`;
    case 'other':
      return 'another of this name';
    case 'absent':
      return 'no';
  }
}
