import { formatBytes } from '../../shared/terminal/sizes.ts';
import type { ArchiveName } from '../../shared/archive/names.ts';
import type { ArchiveStore, DedupCounts } from '../store/store.ts';
import { openStore } from './open-store.ts';
import { eachArchive, type Troubles } from './each-archive.ts';
import { print } from './output.ts';
import type { Settings } from './settings.ts';
import { withArchive } from './with-stored-archive.ts';

interface Report extends DedupCounts {
  readonly archive: ArchiveName;
  /** Whether equal content can have equal bytes in this archive. */
  readonly hasEqual: boolean;
}

const NOTHING: DedupCounts = { chunks: 0, linked: 0, savedBytes: 0, copies: 0, repaired: 0 };

/** Stores equal chunks once, also in archives created without deduplication. */
export async function dedupCommand(settings: Settings, json: boolean): Promise<number> {
  const store = openStore(settings);
  const { reports, status } = await eachArchive(store, settings, async (name, troubles) => {
    const report = await withArchive(store, name, (archive) => deduplicate(name, archive, troubles));
    if (!json) await print(describe(report));
    return report;
  });
  if (json) await print(`${JSON.stringify({ archives: reports })}\n`);
  return status;
}

async function deduplicate(name: ArchiveName, archive: ArchiveStore, troubles: Troubles): Promise<Report> {
  const hasEqual = archive.dedup || !archive.encrypted;
  if (!hasEqual) return { archive: name, hasEqual, ...NOTHING };
  await archive.tidy(troubles.add);
  return { archive: name, hasEqual, ...(await archive.deduplicate(troubles.add)) };
}

function describe({ archive, hasEqual, chunks, linked, savedBytes, copies, repaired }: Report): string {
  if (!hasEqual) {
    return (
      `${archive}: encrypted, and created without deduplication: no two chunks have the same bytes, nothing ` +
      'to link\n'
    );
  }
  const more = [
    copies > 0 ? `, ${copies} stay copies (the file system allows no more links)` : '',
    repaired > 0 ? `, ${repaired} damaged ones repaired from an equal one` : '',
  ];
  return (
    `${archive}: ${linked} of ${chunks} chunks linked to an equal one, ${formatBytes(savedBytes)} ` +
    `saved${more.join('')}\n`
  );
}
