/**
 * Which catalogue may follow which (docs/format.md, section 8). Each dom0 writes one line of catalogues: its sequence
 * numbers are recorded as used before use, and it refuses to write over anything but its own last catalogue. `adopt`
 * begins the next writer's line, and records where the previous one ended. A fork, two lines that both continue from
 * one catalogue, shows in these records.
 */
import type { Adoption, Catalogue } from '../content/catalogue.ts';
import { MAX_ADOPTIONS } from '../content/catalogue.ts';
import { equalBytes } from '../content/bytes.ts';

/** A catalogue and the object hash of its stored bytes. */
export interface HashedCatalogue {
  readonly catalogue: Catalogue;
  readonly hash: Uint8Array;
}

/**
 * `follows`: made over the pin, or over a later catalogue of the pin's writer. `older`: the pin was made over it.
 * `forked`: neither; `after` is where the shown line left that of the pin's writer, if it records that.
 */
export type Succession =
  { readonly kind: 'follows' } | { readonly kind: 'older' } | { readonly kind: 'forked'; readonly after?: Adoption };

/**
 * How a catalogue that is not one of the pins relates to them.
 * @param pins what this dom0 knows: `current`, and a `next` whose put was not answered
 * @param me this dom0, as a writer
 */
export function successionOf(pins: readonly HashedCatalogue[], shown: Catalogue, me: string): Succession {
  // This dom0 knows every catalogue that it wrote itself, so another one with its id is older.
  if (shown.writer === me) return { kind: 'older' };
  if (pins.some((pin) => isMadeOver(pin, shown, me))) return { kind: 'follows' };
  if (pins.some(({ catalogue }) => isMadeBefore(shown, catalogue))) return { kind: 'older' };
  const writers = new Set(pins.map(({ catalogue }) => catalogue.writer));
  const after = shown.adopted?.findLast(({ writer }) => writers.has(writer));
  return after === undefined ? { kind: 'forked' } : { kind: 'forked', after };
}

/** Whether `shown` descends from the pin. */
function isMadeOver({ catalogue: pinned, hash }: HashedCatalogue, shown: Catalogue, me: string): boolean {
  if (shown.sequence <= pinned.sequence) return false;
  if (shown.writer === pinned.writer) return true;
  const record = shown.adopted?.find(({ writer }) => writer === pinned.writer);
  if (record === undefined) return false;
  const isPin = record.sequence === pinned.sequence && equalBytes(record.hash, hash);
  // We know only a part of another writer's line: the adopted catalogue may be later than the pin. Of our own line
  // nothing is later.
  return isPin || (pinned.writer !== me && record.sequence > pinned.sequence);
}

function isMadeBefore(shown: Catalogue, pinned: Catalogue): boolean {
  if (shown.sequence >= pinned.sequence) return false;
  if (shown.writer === pinned.writer) return true;
  const record = pinned.adopted?.find(({ writer }) => writer === shown.writer);
  return record !== undefined && shown.sequence <= record.sequence;
}

/** The next catalogue over `before`, by `writer`, with the records that it must keep. */
export function successorOf(
  { catalogue, hash }: HashedCatalogue,
  { writer, sequence, volumes }: Pick<Catalogue, 'writer' | 'sequence' | 'volumes'>,
): Catalogue {
  const { adopted: before = [], archive } = catalogue;
  const ended: Adoption[] =
    writer === catalogue.writer ? [] : [{ writer: catalogue.writer, sequence: catalogue.sequence, hash }];
  // One record for each writer: where its line last ended. The writer's own line continues, so it has none.
  const others = before.filter((each) => each.writer !== writer && each.writer !== catalogue.writer);
  const adopted = [...others, ...ended].slice(-MAX_ADOPTIONS);
  return { archive, writer, sequence, volumes, ...(adopted.length === 0 ? {} : { adopted }) };
}
