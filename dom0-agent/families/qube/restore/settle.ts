/** The steps after a qube's volumes: its settings, those that refer to other qubes, and the end of the restore. */
import { RESTORE_TAG } from '../../../qubes/names.ts';
import { readSettings } from '../../../qubes/read-settings.ts';
import type { Settings } from '../../../qubes/settings.ts';
import { QubesdRefusal } from '../../../qubes/socket.ts';
import { SparsebakError } from '../../../../shared/errors.ts';
import { updateAppMenus } from '../../../runs/app-menus.ts';
import { applyChange } from './apply.ts';
import { linkChanges, ownChanges, type Change } from './changes.ts';
import { settled } from './exchange-all.ts';
import type { RestoreRecord } from './record.ts';
import type { HostServices } from './services.ts';
import type { Remark, Wanted } from './wanted.ts';

export interface Target {
  readonly name: string;
  readonly wanted: Wanted;
  readonly isCopy: boolean;
  /** By volume. */
  readonly revisionsToKeep: Readonly<Record<string, number>>;
}

/** @returns what qubesd refused */
export async function settleOwn(services: HostServices, target: Target): Promise<Remark[]> {
  const now = await settingsNow(services, target.name);
  const remarks = await applyAll(services, target.name, ownChanges(target.wanted, now, target.isCopy));
  for (const [volume, count] of Object.entries(target.revisionsToKeep)) {
    if (now.volumes[volume]?.revisionsToKeep === count) continue;
    try {
      await services.qubesd.setRevisionsToKeep(target.name, volume, count);
    } catch (error) {
      if (!(error instanceof QubesdRefusal)) throw error;
      const message = `qubesd refused to keep ${count} revisions: ${error.message}`;
      remarks.push({ about: `volume ${volume}`, message, needsUser: true });
    }
  }
  return remarks;
}

export async function settleLinks(services: HostServices, { name, wanted }: Target): Promise<Remark[]> {
  return await applyAll(services, name, linkChanges(wanted, await settingsNow(services, name)));
}

/** Lets the qube be started, as the last step. @returns what the user has to do */
export async function finish(services: HostServices, record: RestoreRecord): Promise<Remark[]> {
  const { qubesd, records } = services;
  await settled(services, record.name, Object.keys(record.volumes));
  await qubesd.removeTag(record.name, RESTORE_TAG);
  records.write({ ...record, phase: 'done' });
  const failure = await updateAppMenus(record.name);
  return failure === undefined ? [] : [{ about: 'application menu', message: failure, needsUser: true }];
}

async function applyAll(
  { qubesd, context }: HostServices,
  name: string,
  changes: readonly Change[],
): Promise<Remark[]> {
  const remarks: Remark[] = [];
  for (const change of changes) {
    context.throwIfInterrupted();
    const remark = await applyChange(qubesd, name, change);
    if (remark !== undefined) remarks.push(remark);
  }
  return remarks;
}

export async function settingsNow({ qubesd, around }: HostServices, name: string): Promise<Settings> {
  const entry = await qubesd.qube(name);
  if (entry !== undefined) return await readSettings(qubesd, entry, around);
  throw new SparsebakError('target', `the qube ${name} is no longer here`, {
    hint: 'It was removed or renamed meanwhile. Run the command again.',
  });
}
