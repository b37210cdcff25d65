/** `qube restore --undo` of a replacement that has exchanged nothing yet: the qube stays as it is, and starts again. */
import { RESTORE_TAG } from '../../../qubes/names.ts';
import { asSparsebakError, SparsebakError } from '../../../../shared/errors.ts';
import type { RestoreRecord, VolumeRecord } from './record.ts';
import { outcomeOf, type QubeResult } from './result.ts';
import type { HostServices } from './services.ts';
import type { OpenedPool } from './storages.ts';
import type { Remark } from './wanted.ts';

/** Whether nothing of the qube but its tag was changed. */
export function canBeGivenUp({ kind, phase }: RestoreRecord): boolean {
  return kind === 'replace' && phase === 'volumes';
}

export function describeGivingUp({ name, volumes }: RestoreRecord): string[] {
  return [
    `${name} stays as it is: the replacement that was not finished is given up`,
    ...Object.entries(volumes).map(([volume, { staged }]) => `  ${volume}: ${staged} is removed`),
  ];
}

/** Can be repeated after a crash at any point. @throws `target` if the qube is another one */
export async function giveUp({ qubesd, records, storages }: HostServices, record: RestoreRecord): Promise<QubeResult> {
  const { name, qube, volumes, uuid } = record;
  const entry = await qubesd.qube(name);
  if (entry !== undefined && entry.uuid !== uuid) {
    throw new SparsebakError('target', `the qube ${name} is not the one that was to be replaced`, {
      hint: 'It was removed and created again, and no restore of it is under way.',
    });
  }
  const remarks: Remark[] = [];
  if (entry !== undefined) {
    for (const [volume, content] of Object.entries(volumes)) {
      const left = await removeStaged(await storages.pool(content.pool), content);
      if (left !== undefined) remarks.push({ about: `volume ${volume}`, message: left, needsUser: false });
    }
    await qubesd.removeTag(name, RESTORE_TAG);
  }
  // The replacement before it can be undone again.
  if (record.earlier === undefined || record.earlier === null) records.remove(name);
  else records.write({ ...record.earlier, earlier: null });
  return { qube, name, action: 'undo', result: outcomeOf(remarks), volumes: [], remarks, kept: [] };
}

/** @returns what may be left of it, for the user */
async function removeStaged(
  { source, exchange }: OpenedPool,
  { staged, state }: VolumeRecord,
): Promise<string | undefined> {
  await exchange.remove(staged);
  if (state !== 'empty') return undefined;
  // What a killed restore has written of it has a name that only making it anew finds.
  const size = 1024 * 1024;
  const volume = { name: staged, archived: staged, ownership: undefined, size, replaces: false };
  try {
    const target = await source.newVolume({ ...volume, bytesIn: () => Promise.resolve(0) });
    await target.abandon();
    return undefined;
  } catch (error) {
    return `what was written of ${staged} may be left beside it: ${asSparsebakError(error).message}`;
  }
}
