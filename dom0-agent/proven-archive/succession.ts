/**
 * Which catalogue may follow which (docs/format.md, section 8). Each dom0 writes one line of catalogues: its sequences
 * are burned before use, and it refuses to write over anything but its own last one. `adopt` begins the next writer's
 * line, and records where the one before ended. A fork, two lines that both go on from one catalogue, shows in these
 * records.
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
 * `follows`: made over the pin, or over what the pin's writer wrote later. `older`: the pin was made over it.
 * `forked`: neither; `after` is where the shown line left that of the pin's writer, if it says.
 */
export type Succession =
  { readonly kind: 'follows' } | { readonly kind: 'older' } | { readonly kind: 'forked'; readonly after?: Adoption };

/**
 * What a catalogue that is none of the pins is to them.
 * @param pins what this dom0 knows: `current`, and a `next` whose put was not answered
 * @param me this dom0, as a writer
 */
export function successionOf(pins: readonly HashedCatalogue[], shown: Catalogue, me: string): Succession {
  // What this dom0 wrote itself it knows to the last byte.
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
  // Of another writer's line we saw a part: what was adopted of it may be later. Of our own nothing is later.
  return isPin || (pinned.writer !== me && record.sequence > pinned.sequence);
}

function isMadeBefore(shown: Catalogue, pinned: Catalogue): boolean {
  if (shown.sequence >= pinned.sequence) return false;
  if (shown.writer === pinned.writer) return true;
  const record = pinned.adopted?.find(({ writer }) => writer === shown.writer);
  return record !== undefined && shown.sequence <= record.sequence;
}

/** The next catalogue over one, by `writer`: with the records that it must carry on. */
export function successorOf(
  { catalogue, hash }: HashedCatalogue,
  { writer, sequence, volumes }: Pick<Catalogue, 'writer' | 'sequence' | 'volumes'>,
): Catalogue {
  const { adopted: before = [], archive } = catalogue;
  const ended: Adoption[] =
    writer === catalogue.writer ? [] : [{ writer: catalogue.writer, sequence: catalogue.sequence, hash }];
  // One of each writer: where its line ended last. The writer's own line goes on.
  const others = before.filter((each) => each.writer !== writer && each.writer !== catalogue.writer);
  const adopted = [...others, ...ended].slice(-MAX_ADOPTIONS);
  return { archive, writer, sequence, volumes, ...(adopted.length === 0 ? {} : { adopted }) };
}
