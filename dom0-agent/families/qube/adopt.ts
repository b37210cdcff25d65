/**
 * `qube adopt`: joins the history of volumes that were saved one by one, by pools of the configuration, to the qube
 * that they belong to. Only names change: sessions, tags and, where possible, the record of changes stay.
 */
import { SparsebakError } from '../../../shared/errors.ts';
import { escapeText } from '../../../shared/text.ts';
import { qubesHostOf, type Pool } from '../../capture/pools.ts';
import { movedToPool } from '../../capture/forget-volume.ts';
import type { CommandContext } from '../../cli/command-context.ts';
import { formatTable, print, printJson } from '../../cli/output.ts';
import { writerOptions } from '../../cli/writer-options.ts';
import { renameEntry } from '../../maintain/volumes.ts';
import { withWriter } from '../../maintain/with-writer.ts';
import { ArchiveState } from '../../proven-archive/archive-state.ts';
import { Pin } from '../../proven-archive/pin.ts';
import { archiveName } from '../../qubes/names.ts';
import type { QubesHost } from '../../qubes/qubes-host.ts';
import type { Storage } from '../../qubes/storage.ts';

export interface AdoptOptions {
  /** `private=vm-work-private`: which volume of the archive is which of the qube. */
  readonly volume: readonly string[];
  readonly dryRun?: boolean;
}

interface Adoption {
  /** The qube's volume in the archive: `work:private`. */
  readonly name: string;
  /** The name that it has in the archive until now; undefined: none was found, or it needs none. */
  readonly was: string | undefined;
  /** Why nothing is adopted. */
  readonly reason: string | undefined;
  readonly storage: Storage;
}

export async function adoptQube(context: CommandContext, qube: string, options: AdoptOptions): Promise<number> {
  const pools = context.pools();
  const host = qubesHostOf(pools);
  if (host === undefined) {
    throw new SparsebakError('config', 'the configuration has no section [qubes]', {
      hint: 'Add one that selects the qube: a volume is adopted by what saves it from now on.',
    });
  }
  const state = ArchiveState.open(context.config.stateDir, context.archive.name);
  const names = (new Pin(state).current?.catalogue.volumes ?? []).flatMap((volume) =>
    volume.state === 'active' ? [volume.name] : [],
  );
  const adoptions = await plan(host, qube, names, options.volume);
  const due = adoptions.filter(({ was }) => was !== undefined);
  if (due.length > 0 && options.dryRun !== true) {
    await withWriter({ ...writerOptions(context), pools }, async (writer) => {
      for (const { name, was = '', storage } of due) {
        await moveRecord(pools, was, name, storage);
        const stayed = await renameEntry(writer, was, name);
        if (stayed !== undefined) context.log.warn(`${name}: the next send compares in full: ${stayed.message}`);
      }
    });
  }
  report(context, qube, adoptions, options.dryRun === true);
  return due.length > 0 ? 0 : 3;
}

async function plan(
  host: QubesHost,
  qube: string,
  names: readonly string[],
  given: readonly string[],
): Promise<Adoption[]> {
  if (!(await host.look()).has(qube)) {
    throw new SparsebakError('not-found', `there is no qube "${qube}" here`, { hint: 'See qvm-ls.' });
  }
  const chosen = new Map(given.map(parsePair));
  const saved = await host.savedVolumes(qube);
  const unknown = [...chosen.keys()].find((volume) => !saved.some(({ name }) => name === volume));
  if (unknown !== undefined) {
    throw new SparsebakError('usage', `the qube ${qube} has no volume "${unknown}" that is saved`, {
      hint: `It has: ${saved.map(({ name }) => name).join(', ') || 'none'}.`,
    });
  }
  return await Promise.all(
    saved.map(async (volume): Promise<Adoption> => {
      const name = archiveName(qube, volume.name);
      const { storage, inner } = await host.place(volume);
      const was = chosen.get(volume.name);
      if (was !== undefined && !names.includes(was)) {
        throw new SparsebakError('not-found', `the archive has no volume "${was}"`, { hint: 'See "sparsebak list".' });
      }
      if (names.includes(name)) {
        return { name, storage, was: undefined, reason: 'it has a history of its own in the archive' };
      }
      const candidates = was === undefined ? names.filter((each) => isNameOf(each, inner)) : [was];
      if (candidates.length > 1) {
        throw new SparsebakError('usage', `several volumes of the archive may be ${name}: ${candidates.join(', ')}`, {
          hint: `Choose one: --volume ${volume.name}=${candidates[0] ?? ''}.`,
        });
      }
      const [found] = candidates;
      return {
        name,
        storage,
        was: found,
        reason: found === undefined ? 'the archive has no volume of its name' : undefined,
      };
    }),
  );
}

function parsePair(text: string): [volume: string, was: string] {
  const at = text.indexOf('=');
  if (at > 0 && at < text.length - 1) return [text.slice(0, at), text.slice(at + 1)];
  throw new SparsebakError('usage', `--volume ${text} is not of the form VOLUME=NAME`, {
    hint: 'For example --volume private=vm-work-private.',
  });
}

/** A pool's path may begin deeper than Qubes' own: `mail/private.img` is `appvms/mail/private.img`. */
function isNameOf(name: string, inner: string): boolean {
  return name === inner || (name.includes('/') && inner.endsWith(`/${name}`));
}

/** Where the old pool is the very place of the new one, its snapshots are valid for the qube's volume as well. */
async function moveRecord(
  pools: readonly Pool[],
  was: string,
  name: string,
  { pool, options }: Storage,
): Promise<void> {
  const to = pools.find(({ source }) => source.kind === 'qubes');
  const from = pools.find(({ config }) => {
    if (options.type === 'lvm-thin') {
      return config.type === 'lvm-thin' && config.vgname === options.vgname && config.poolname === options.poolname;
    }
    return config.type === 'reflink' && options.type === 'reflink' && config.path === options.path;
  });
  if (to === undefined || from === undefined) return;
  await movedToPool(from, was, { capture: to, volume: name, binding: { storage: pool } });
}

function report({ json }: CommandContext, qube: string, adoptions: readonly Adoption[], dryRun: boolean): void {
  if (json) {
    const volumes = adoptions.map(({ name, was, reason }) => ({
      name,
      was: was ?? null,
      ...(reason === undefined ? {} : { reason }),
    }));
    printJson({ qube, ...(dryRun ? { dryRun } : {}), volumes });
    return;
  }
  const rows = adoptions.map(({ name, was, reason }) => [
    name,
    was === undefined ? '' : escapeText(was, 4096),
    was === undefined ? (reason ?? '') : dryRun ? 'would be adopted' : 'adopted: its sessions continue under this name',
  ]);
  print(formatTable(['VOLUME', 'UNTIL NOW', ''], rows, []));
  if (!dryRun && adoptions.some(({ was }) => was !== undefined)) {
    print('Exclude these volumes from the pools of the configuration, if they are still selected there.');
  }
}
