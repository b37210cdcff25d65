// A backup system in dom0 of a stand-in of Qubes OS: its qubes are saved by [qubes], and can be compared whole.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Qubesd as Client } from '../../../dom0-agent/qubes/qubesd.ts';
import { readSettings, surroundings } from '../../../dom0-agent/qubes/read-settings.ts';
import type { Settings } from '../../../dom0-agent/qubes/settings.ts';
import { Qubesd, type QubesdOptions } from '../../fixtures/qubesd/qubesd.ts';
import { BackupSystem } from '../backup-system.ts';

interface TestLike {
  after: (cleanUp: () => void | Promise<void>) => void;
}

export const POOL = 'vm-pool';

/** A host whose pool is this folder. */
export async function hostIn(test: TestLike, path: string, options: Partial<QubesdOptions> = {}): Promise<Qubesd> {
  const pools = [{ name: POOL, driver: 'file-reflink' as const, path }];
  return await Qubesd.start({ pools, test: { after: (cleanUp) => test.after(cleanUp) }, ...options });
}

export class QubeBackup {
  readonly system: BackupSystem;
  host: Qubesd;

  private constructor(system: BackupSystem, host: Qubesd) {
    this.system = system;
    this.host = host;
  }

  /** With an archive; nothing is saved yet. */
  static async of(test: TestLike, host: Qubesd, include: readonly string[]): Promise<QubeBackup> {
    const backup = new QubeBackup(new BackupSystem(test, { pools: [], link: 'local' }), host);
    backup.use(host, include);
    await backup.system.init('--chunk-size', '64K');
    return backup;
  }

  /** Is on this host from now on. */
  use(host: Qubesd, include: readonly string[] = ['*']): void {
    this.host = host;
    const lines = ['[qubes]', `include = ${JSON.stringify(include)}`, `socket = ${JSON.stringify(host.socket)}`];
    this.system.configure(lines.join('\n'));
  }

  async qubes(): Promise<string[]> {
    return (await new Client(this.host.socket).qubes()).map(({ name }) => name);
  }

  async settings(name: string): Promise<Settings> {
    const client = new Client(this.host.socket);
    const entry = (await client.qube(name))!;
    return await readSettings(client, entry, await surroundings(client));
  }

  /** What a restore must bring back of the settings: without identity, and without what Qubes itself sets. */
  async comparable(name: string, beside = false): Promise<unknown> {
    const {
      uuid: _uuid,
      state: _state,
      release: _release,
      volumes,
      properties,
      tags,
      ...rest
    } = await this.settings(name);
    const own = Object.entries(properties).filter(
      ([property, { default: isDefault }]) =>
        !isDefault &&
        !['name', 'qid', 'uuid', 'klass', 'label', 'template', 'dispid'].includes(property) &&
        !(beside && ['mac', 'ip', 'ip6'].includes(property)),
    );
    return {
      ...rest,
      name: beside ? '' : rest.name,
      devices: rest.devices.map(({ fields: { frontend_domain: _frontend, ...fields }, ...device }) => ({
        ...device,
        fields,
      })),
      properties: Object.fromEntries(own.map(([property, { value }]) => [property, value])),
      tags: tags.filter((tag) => !tag.startsWith('created-by-')),
      volumes: Object.entries(volumes).map(([volume, { pool, size, revisionsToKeep, saved }]) => {
        return { volume, pool, size, revisionsToKeep, saved };
      }),
    };
  }

  /** The saved volumes' bytes. */
  async bytes(name: string): Promise<Record<string, Buffer>> {
    const found: Record<string, Buffer> = {};
    for (const [volume, { saved, vid, pool }] of Object.entries((await this.settings(name)).volumes)) {
      if (saved) found[volume] = readFileSync(await this.path(pool, vid));
    }
    return found;
  }

  async path(pool: string, vid: string): Promise<string> {
    const info = await this.host.ok('admin.pool.Info', 'dom0', pool);
    const folder = /^dir_path=(.*)$/m.exec(info)![1]!;
    return join(folder, `${vid}.img`);
  }
}
