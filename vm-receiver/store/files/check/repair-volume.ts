/** Lists damage of a volume's newest session, and replaces damaged chunks and pages by intact ones. */
import { join } from 'node:path';
import { CHUNKS_PER_RANGE, chunkFileName, rangeFolderName } from '../../../../shared/archive/address.ts';
import type { SessionName } from '../../../../shared/archive/names.ts';
import { MAX_DAMAGE } from '../../../../shared/wire/limits.ts';
import { attemptAsync } from '../../refusal.ts';
import type { DamagedParts, Part } from '../../store.ts';
import { withExclusiveLock } from '../layout/exclusive-lock.ts';
import { checksumLine, checksumOf, findChecksums } from '../layout/checksums.ts';
import { OverlaySources, type OverlaySource } from '../layout/overlay-source.ts';
import { inspectFile } from '../layout/inspect-folder.ts';
import { CHECKSUMS, PAGE, firstAddressOf } from '../layout/paths.ts';
import type { VolumePlace } from '../layout/volume-place.ts';
import { addressOf, parseStoredPath } from '../layout/stored-path.ts';
import { DedupStore } from '../dedup/dedup-store.ts';
import { finishPruning } from '../prune/prune-session.ts';
import { ScrubState } from './scrub-state.ts';
import { listSessions, newestVisible } from '../layout/sessions.ts';
import { readSize } from '../layout/size-file.ts';

/** Damage of the newest session that scrub found, checked again. Undefined if there is no such volume. */
export async function damagedPartsOf(place: VolumePlace): Promise<DamagedParts | undefined> {
  const { disk, archive, chunkSize, id, volumeName, readers } = place;
  return await attemptAsync(`look for damage of ${volumeName}`, async () => {
    const sessions = (await readers.get(id))?.sessions ?? [];
    const newest = newestVisible(sessions);
    if (newest === undefined) return undefined;
    const size = readSize(disk, newest.path);
    const holders = new OverlaySources(disk, sessions);
    const addresses = new Set<number>();
    const pages = new Set<number>();
    // Sorted by range, since sources and checksums are looked up range by range.
    const places = [...ScrubState.load(disk, archive, id).damaged].flatMap((text) => parseStoredPath(text) ?? []);
    places.sort((a, b) => ((a.range ?? '') < (b.range ?? '') ? -1 : 1));
    for (const known of places) {
      const address = addressOf(known);
      if (known.range === undefined || address === undefined || address >= size) continue;
      const holder = holders.find(known.range, known.file);
      if (holder === undefined || isSound(place, holder, known.file)) continue;
      if (known.file === PAGE) pages.add(firstAddressOf(known.range) / (chunkSize * CHUNKS_PER_RANGE));
      else addresses.add(address);
    }
    return { addresses: rising(addresses), pages: rising(pages) };
  });
}

function rising(numbers: ReadonlySet<number>): number[] {
  return [...numbers].sort((a, b) => a - b).slice(0, MAX_DAMAGE);
}

function isSound({ disk }: VolumePlace, { folder, sum }: OverlaySource, file: string): boolean {
  return sum !== undefined && inspectFile(disk, join(folder, file), sum).kind === undefined;
}

/** Returns whether there is such a session, and a part was ever stored there. */
export async function repairPart(
  place: VolumePlace,
  session: SessionName,
  part: Part,
  data: Uint8Array,
): Promise<boolean> {
  const { disk, chunkSize, volume, volumeName } = place;
  const number = 'page' in part ? part.page : Math.floor(part.address / (chunkSize * CHUNKS_PER_RANGE));
  const range = rangeFolderName(number, chunkSize);
  const file = 'page' in part ? PAGE : chunkFileName(part.address);
  await finishPruning(place);
  const done = await withExclusiveLock(place, `repair ${session}/${range}/${file} of`, () => {
    const sessions = listSessions(disk, volume, volumeName);
    if (!sessions.some((each) => each.session === session && !each.hidden)) return false;
    const below = sessions.filter((each) => each.session <= session);
    const holder = new OverlaySources(disk, below).find(range, file);
    if (holder === undefined) return false;
    if (!isSound(place, holder, file)) put(place, holder, file, data);
    return true;
  });
  return done ?? false;
}

/** The file first: if it does not match its checksum, it still counts as damaged. */
function put(
  { disk, archive }: VolumePlace,
  { folder, sum: before }: OverlaySource,
  file: string,
  data: Uint8Array,
): void {
  const sum = checksumOf(data);
  const path = join(folder, file);
  disk.replace(path, data);
  if (sum !== before) {
    const { text = '' } = findChecksums(disk, folder) ?? {};
    const others = text.split('\n').filter((line) => line !== '' && !line.endsWith(`  ${file}`));
    disk.replace(join(folder, CHECKSUMS), [...others, checksumLine(sum, file)].join('\n'));
  }
  // If the damaged chunk was shared, this one replaces it in the deduplication store, and the next scrub repairs the
  // others from it.
  if (file !== PAGE) DedupStore.open(disk, archive, false)?.share(sum, path);
}
