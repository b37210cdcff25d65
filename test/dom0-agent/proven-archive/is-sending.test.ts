import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Config } from '../../../dom0-agent/config/config.ts';
import { acquireLock } from '../../../dom0-agent/process/flock.ts';
import { isSendingTo } from '../../../dom0-agent/proven-archive/is-sending.ts';
import type { ArchiveName } from '../../../shared/archive/names.ts';
import { ArchiveInMemory } from '../../fixtures/archive-in-memory.ts';
import { OTHER_ARCHIVE } from '../content/objects.ts';

test('an archive whose lock is held is being sent to; asking keeps no send from beginning', async (t) => {
  const { state, stateDir, config } = await ArchiveInMemory.make(t);
  const never = { ...config, name: 'never-made' as ArchiveName };
  const configured = (...archives: Config['archives']) => isSendingTo({ stateDir, archives } as unknown as Config);
  const { archive } = state.record;
  const lock = await acquireLock(`${state.folder}/lock`, { exclusive: true, waitSeconds: 0 });
  assert.equal(await configured(never, config)(archive), true);
  assert.equal(await configured(never, config)(OTHER_ARCHIVE), false, 'another archive is not');
  assert.equal(await configured(never)(archive), false, 'nor is one that is not configured any more');
  lock.release();
  assert.equal(await configured(config)(archive), false);
  (await acquireLock(`${state.folder}/lock`, { exclusive: true, waitSeconds: 0 })).release();
});
