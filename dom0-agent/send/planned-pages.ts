/** The plan with the base's page of each range, fetched in advance so that no range waits for the receiver. */
import { isIntegrity, SparsebakError } from '../../shared/errors.ts';
import { IDENTITY } from '../pipeline/jobs.ts';
import type { ProvenReader } from '../proven-archive/proven-reader.ts';
import { PageIndex } from '../content/page-index.ts';
import { plan, type PlanInput, type PlanStep } from './read-plan.ts';
import type { VolumeContent } from './volume-content.ts';

/** How many pages are requested in advance. */
const PAGES_AHEAD = 8;

interface PlannedPage {
  readonly step: PlanStep;
  readonly old: Uint8Array;
}

/** @param onFault called for a missing or damaged page of the base: its range is read completely and sent again */
export async function* plannedPages(
  volume: VolumeContent,
  reader: ProvenReader,
  onFault: (fault: SparsebakError) => void,
): AsyncGenerator<PlannedPage> {
  const index = new PageIndex(volume.base?.index);
  const input: PlanInput = {
    geometry: volume.geometry,
    base: volume.base?.session.geometry,
    marked: volume.marked,
    mapped: volume.mapped,
    from: volume.resume?.range ?? 0,
    lost: volume.lostPages,
    baseIsZero: (range) => index.isZero(range) && !volume.lostPages.has(range),
  };
  const planned = async (step: PlanStep): Promise<PlannedPage> => {
    if (step.kind !== 'range') return { step, old: NOTHING };
    try {
      return { step, old: await basePage(volume, reader, index, step.range) };
    } catch (error) {
      if (!isIntegrity(error)) throw error;
      onFault(error);
      return planAnew(input, step.range);
    }
  };
  const steps = plan(input);
  const ahead: Promise<PlannedPage>[] = [];
  for (;;) {
    while (ahead.length < PAGES_AHEAD) {
      const next = steps.next();
      if (next.done === true) break;
      const page = planned(next.value);
      page.catch(() => undefined);
      ahead.push(page);
    }
    const first = ahead.shift();
    if (first === undefined) return;
    yield await first;
  }
}

const NOTHING = new Uint8Array(0);

/** Plans the complete range, whatever was marked in it. */
function planAnew(input: PlanInput, range: number): PlannedPage {
  const [step] = plan({ ...input, from: range, lost: new Set([range]), baseIsZero: () => false });
  if (step?.kind !== 'range' || step.range !== range) throw new SparsebakError('failed', `range ${range} has no plan`);
  return { step, old: unknownPage(input.base?.entriesOf(range) ?? 0) };
}

async function basePage(
  volume: VolumeContent,
  reader: ProvenReader,
  index: PageIndex,
  range: number,
): Promise<Uint8Array> {
  if (volume.base === undefined) return new Uint8Array(volume.geometry.entriesOf(range) * IDENTITY);
  const { session } = volume.base;
  if (range >= session.geometry.rangeCount) return NOTHING;
  if (volume.lostPages.has(range)) return unknownPage(session.geometry.entriesOf(range));
  return reader.page(session, range, index.hash(range));
}

/** A page of identities that no chunk has, zeros included: everything differs from it. */
function unknownPage(entries: number): Uint8Array {
  return new Uint8Array(entries * IDENTITY).fill(0xff);
}
