import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { exchangeAll } from '../../../../dom0-agent/families/qube/restore/exchange-all.ts';
import type { RestoreRecord } from '../../../../dom0-agent/families/qube/restore/record.ts';
import type { HostServices } from '../../../../dom0-agent/families/qube/restore/services.ts';
import { FileExchange } from '../../../../dom0-agent/source/exchange-files.ts';
import { scratchFor } from '../../../fixtures/scratch.ts';

test('exchanges a volume that a killed run noted as exchanged and had put back', async (t) => {
  const path = scratchFor(t);
  mkdirSync(join(path, 'win'));
  const volumeOf = (volume: string, state: 'staged' | 'done') => {
    const name = `win/${volume}.img`;
    writeFileSync(join(path, name), 'old');
    writeFileSync(join(path, `${name}.restored-1`), 'new');
    const names = { name, staged: `${name}.restored-1`, kept: `${name}.replaced-1` };
    return [volume, { pool: 'p', session: 'S', ...names, state }] as const;
  };
  // The record says of root what was true before it was put back.
  const volumes = Object.fromEntries([volumeOf('root', 'done'), volumeOf('private', 'staged')]);
  const record: RestoreRecord = {
    ...{ v: 1, kind: 'replace', qube: 'win', name: 'win', uuid: 'u', class: 'StandaloneVM', template: null },
    ...{ label: 'red', session: 'S', phase: 'exchange', volumes, before: null, after: null },
  };
  const exchange = new FileExchange({ path, followSymlinks: false });
  const services = {
    qubesd: { qube: () => Promise.resolve({ name: 'win', state: 'Halted' }) },
    records: { write: () => undefined },
    storages: { pool: () => Promise.resolve({ exchange }) },
  } as unknown as HostServices;
  assert.equal((await exchangeAll(services, record)).phase, 'settings');
  for (const volume of ['root', 'private']) {
    assert.equal(readFileSync(join(path, `win/${volume}.img`), 'utf8'), 'new', volume);
    assert.equal(readFileSync(join(path, `win/${volume}.img.replaced-1`), 'utf8'), 'old', volume);
  }
});
