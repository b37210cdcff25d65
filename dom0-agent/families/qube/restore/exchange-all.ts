/** Exchanges all volumes of a qube that is replaced, or none. */
import { setTimeout as delay } from 'node:timers/promises';
import { SparsebakError } from '../../../../shared/errors.ts';
import type { RestoreRecord } from './record.ts';
import type { HostServices } from './services.ts';
import { withVolume } from './stage.ts';

/**
 * @param record of phase `exchange`, all its volumes staged or exchanged
 * @returns the record of phase `settings`, written
 * @throws `target`: all volumes are back in their places
 */
export async function exchangeAll(services: HostServices, record: RestoreRecord): Promise<RestoreRecord> {
  let now = record;
  await refuseRunning(services, record.name);
  try {
    for (const [volume, content] of Object.entries(record.volumes)) {
      const { exchange } = await services.storages.pool(content.pool);
      // One that is noted as done may be back already, if the run was killed while it put all of them back.
      if (content.state !== 'done' || (await exchange.exists(content.staged))) {
        const use = await exchange.use(content.name);
        if (use !== undefined)
          throw new SparsebakError('target', `${record.name}:${volume} cannot be exchanged: ${use}`);
        await exchange.exchange({ name: content.name, incoming: content.staged, keptAs: content.kept });
      }
      now = withVolume(now, volume, { ...content, state: 'done' });
      services.records.write(now);
    }
  } catch (error) {
    await back(services, now, record);
    throw error;
  }
  const done: RestoreRecord = { ...now, phase: 'settings' };
  services.records.write(done);
  return done;
}

/** Undoes those that were exchanged, and those whose exchange may have begun. */
async function back({ storages, records }: HostServices, now: RestoreRecord, before: RestoreRecord): Promise<void> {
  let record = now;
  for (const [volume, content] of Object.entries(now.volumes)) {
    const { exchange } = await storages.pool(content.pool);
    if (await exchange.exists(content.kept)) {
      if (await exchange.exists(content.staged)) {
        // Only the first half was done: the old one has both names, or only the other.
        if (await exchange.exists(content.name)) await exchange.remove(content.kept);
        else await exchange.exchange({ name: content.name, incoming: content.kept, keptAs: content.staged });
      } else await exchange.exchange({ name: content.name, incoming: content.kept, keptAs: content.staged });
    }
    record = withVolume(record, volume, { ...content, state: 'staged' });
  }
  records.write({ ...record, phase: before.kind === 'undo' ? 'exchange' : 'volumes' });
}

/** @throws `target` unless the qube is here and halted */
export async function refuseRunning({ qubesd }: HostServices, name: string): Promise<void> {
  const entry = await qubesd.qube(name);
  if (entry?.state === 'Halted') return;
  const what = entry === undefined ? 'is no longer here' : `is not halted (${entry.state})`;
  throw new SparsebakError('target', `the qube ${name} ${what}`, {
    hint: `Shut it down (qvm-shutdown --wait ${name}), and run the command again.`,
  });
}

/** Milliseconds. qubesd reads the list of thin volumes at most every 30 seconds. */
const REFRESHED = 45_000;
const EACH = 1000;

/**
 * Waits until qubesd has seen that the volumes have their names again: if it read the list of thin volumes in the
 * moment when one had none, it would start the qube with the newest revision instead.
 */
export async function settled(
  { qubesd, context }: HostServices,
  name: string,
  volumes: readonly string[],
): Promise<void> {
  for (const volume of volumes) {
    for (let waited = 0; (await qubesd.volumePath(name, volume)).endsWith('-back'); waited += EACH) {
      if (waited >= REFRESHED) {
        throw new SparsebakError('target', `Qubes takes a revision for ${name}:${volume}`, {
          hint: 'Restart qubesd (systemctl restart qubesd), and run the command again.',
        });
      }
      await delay(EACH, undefined, { signal: context.signal });
    }
  }
}
