/** The plan with the base's page of each range, fetched a window ahead so that no range waits for the receiver. */
import { IDENTITY } from '../pipeline/jobs.ts';
import type { ProvenReader } from '../trust/proven-reader.ts';
import { PageIndex } from '../content/page-index.ts';
import { plan, type PlanStep } from './plan.ts';
import type { VolumeContent } from './volume-content.ts';

/** Pages asked for ahead of the range that needs them. */
const PAGES_AHEAD = 8;

export async function* plannedPages(
  what: VolumeContent,
  reader: ProvenReader,
): AsyncGenerator<{ step: PlanStep; old: Uint8Array }> {
  const index = new PageIndex(what.base?.index);
  const steps = plan({
    geometry: what.geometry,
    base: what.base?.session.geometry,
    marked: what.marked,
    mapped: what.mapped,
    from: what.resume?.range ?? 0,
    lost: what.lostPages,
    baseIsZero: (range) => index.isZero(range),
  });
  const ahead: { step: PlanStep; old: Promise<Uint8Array> }[] = [];
  for (;;) {
    while (ahead.length < PAGES_AHEAD) {
      const next = steps.next();
      if (next.done === true) break;
      const old = next.value.kind === 'range' ? basePage(what, reader, index, next.value.range) : NOTHING;
      old.catch(() => undefined);
      ahead.push({ step: next.value, old });
    }
    const first = ahead.shift();
    if (first === undefined) return;
    yield { step: first.step, old: await first.old };
  }
}

const NOTHING = Promise.resolve(new Uint8Array(0));

async function basePage(
  what: VolumeContent,
  reader: ProvenReader,
  index: PageIndex,
  range: number,
): Promise<Uint8Array> {
  if (what.base === undefined) return new Uint8Array(what.geometry.entriesOf(range) * IDENTITY);
  const { session } = what.base;
  if (range >= session.geometry.rangeCount) return new Uint8Array(0);
  if (what.lostPages.has(range)) return unknownPage(session.geometry.entriesOf(range));
  return reader.page(session, range, index.hash(range));
}

/** A page of identities that no chunk has, zeros included: everything differs from it. */
function unknownPage(entries: number): Uint8Array {
  return new Uint8Array(entries * IDENTITY).fill(0xff);
}
