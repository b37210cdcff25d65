/**
 * The heads of any number of a volume's sessions, requested many at a time. Sessions without a valid head are counted,
 * and only the first of them named: a receiver may make up ten thousands of sessions.
 */
import type { SessionName, VolumeId } from '../../shared/archive/names.ts';
import { SparsebakError } from '../../shared/errors.ts';
import type { ProvenReader, ProvenSession } from './proven-reader.ts';

/** Sessions that one `get-heads` may name. */
const HEADS_AT_ONCE = 1024;
/** How many unproven sessions of one volume are kept with their errors. */
const NAMED_FAULTS = 100;

/** Sessions that are listed and have no valid head. */
export class Unproven {
  /** The first of them, oldest first. */
  readonly named = new Map<SessionName, SparsebakError>();
  readonly #all = new Set<SessionName>();

  get count(): number {
    return this.#all.size;
  }

  add(session: SessionName, fault: SparsebakError | undefined): void {
    this.#all.add(session);
    if (this.named.size < NAMED_FAULTS) this.named.set(session, fault ?? headMissing(session));
  }

  /** Forgets the sessions that no longer exist. */
  keepOnly(there: ReadonlySet<SessionName>): void {
    for (const session of [...this.#all].filter((each) => !there.has(each))) {
      this.#all.delete(session);
      this.named.delete(session);
    }
  }
}

export interface WantedHeads {
  readonly volume: VolumeId;
  /** Rising. */
  readonly sessions: readonly SessionName[];
  /** The catalogue's hash of one session's head. */
  readonly expected?: { readonly session: SessionName; readonly hash: Uint8Array } | undefined;
}

/**
 * Yields some proven sessions at a time, oldest first.
 * @param unproven collects those that are not
 * @throws any error that ends the connection
 */
export async function* provenSessions(
  reader: ProvenReader,
  { volume, sessions, expected }: WantedHeads,
  unproven: Unproven,
): AsyncGenerator<readonly ProvenSession[]> {
  for (let from = 0; from < sessions.length; from += HEADS_AT_ONCE) {
    const some = sessions.slice(from, from + HEADS_AT_ONCE);
    const damaged = new Map<SessionName, SparsebakError>();
    const onDamaged = (session: SessionName, fault: SparsebakError): void => {
      if (damaged.size < NAMED_FAULTS) damaged.set(session, fault);
    };
    const proven = await reader.headsThere(volume, some, expected, onDamaged);
    const there = new Set(proven.map(({ head }) => head.session));
    for (const session of some) if (!there.has(session)) unproven.add(session, damaged.get(session));
    yield proven;
  }
}

function headMissing(session: SessionName): SparsebakError {
  return new SparsebakError('integrity', `session ${session} has no head in the archive`, {
    hint: 'The backup VM lost it or withholds it; see "sparsebak-receiver check".',
  });
}
