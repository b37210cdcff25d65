/**
 * The exchange of two thin volumes. LVM renames one at a time: for a moment there is none of that name, and the record
 * of whoever exchanges them says how to continue after a crash.
 */
import { SparsebakError } from '../../../shared/errors.ts';
import type { Exchange, VolumeNames } from '../exchange.ts';
import { activate, deactivate, removeVolumes, renameVolume } from './lvm.ts';
import { importName, replacedName, runningName, stagedName } from './lvm-names.ts';
import { identityOf, readReport, type PoolReport, type ThinVolume } from './lvm-report.ts';

export class ThinExchange implements Exchange {
  readonly #group: string;
  readonly #pool: string;

  constructor(group: string, pool: string) {
    this.#group = group;
    this.#pool = pool;
  }

  names(volume: string, seconds: number): { readonly staged: string; readonly kept: string } {
    return { staged: stagedName(volume, seconds), kept: replacedName(volume, seconds) };
  }

  async exists(name: string): Promise<boolean> {
    return (await this.#report()).names.has(name);
  }

  async use(name: string): Promise<string | undefined> {
    const { names, volumes } = await this.#report();
    if (names.has(runningName(name) ?? '')) return 'its qube is running';
    if (names.has(importName(name))) return 'Qubes is importing it';
    return volumes.get(name)?.open === true ? 'it is open: mounted, or used by a virtual machine' : undefined;
  }

  async exchange({ name, incoming, keptAs }: VolumeNames): Promise<void> {
    const report = await this.#report();
    const fresh = report.volumes.get(incoming);
    if (fresh !== undefined) await this.#rename({ name, incoming, keptAs }, fresh, report);
    else if (!report.volumes.has(name)) {
      const message = `${this.#group}/${name} is missing, and so is ${incoming}, which should take its place`;
      throw new SparsebakError('target', message);
    }
    // Also after a run that was killed before this.
    const after = await this.#report();
    const kept = after.volumes.get(keptAs);
    if (kept?.active === true && !kept.open) await deactivate(this.#group, [identityOf(kept, after)]);
  }

  async #rename({ name, incoming, keptAs }: VolumeNames, fresh: ThinVolume, report: PoolReport): Promise<void> {
    const old = report.volumes.get(name);
    const isActive = (old ?? report.volumes.get(keptAs))?.active === true;
    // Qubes does not start a qube whose volume is not active.
    if (isActive && !fresh.active) await activate(this.#group, identityOf(fresh, report));
    if (old !== undefined && !report.names.has(keptAs)) await renameVolume(this.#group, name, keptAs);
    await renameVolume(this.#group, incoming, name);
  }

  async remove(name: string): Promise<void> {
    if (!/-(restored|replaced)-\d+$/.test(name)) throw new SparsebakError('failed', `${name} is not one of ours`);
    const report = await this.#report();
    const volume = report.volumes.get(name);
    if (volume !== undefined) await removeVolumes(this.#group, [identityOf(volume, report)]);
  }

  async #report(): Promise<PoolReport> {
    return await readReport(this.#group, this.#pool);
  }
}
