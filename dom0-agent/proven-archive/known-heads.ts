/**
 * Contents of heads that were proven once, so that a listing of ten thousand sessions need not prove them all again.
 * Used only for display: restore, verify and send prove each head again. If the file is lost, one listing is slow.
 */
import { readFileSync } from 'node:fs';
import { hash } from 'node:crypto';
import { join } from 'node:path';
import { isSessionName, type SessionName, type VolumeId } from '../../shared/archive/names.ts';
import { writeDurably } from '../../shared/durable.ts';
import type { Head } from '../content/head.ts';
import type { ArchiveState } from './archive-state.ts';

/** The fields of a head that listings show. */
export type KnownHead = Pick<Head, 'sequence' | 'size' | 'changedBytes' | 'time' | 'state' | 'base'>;

/** The same, packed: ten thousand of these are read in some milliseconds. */
type Packed = [KnownHead['sequence'], number, number, number, KnownHead['state'], KnownHead['base']];

type Volumes = Record<string, Record<string, Packed>>;

export class KnownHeads {
  readonly #file: string;
  readonly #before: Volumes;
  readonly #after: Volumes = {};
  #changed = false;

  /** A session's name is recorded as used before it is used, so no other head of the volume ever has it. */
  constructor({ folder }: Pick<ArchiveState, 'folder'>) {
    this.#file = join(folder, 'heads');
    this.#before = read(this.#file);
  }

  get(volume: VolumeId, session: SessionName): KnownHead | undefined {
    const packed = this.#before[volume]?.[session];
    if (packed === undefined) return undefined;
    (this.#after[volume] ??= {})[session] = packed;
    const [sequence, size, changedBytes, time, state, base] = packed;
    return { sequence, size, changedBytes, time, state, base };
  }

  /** The sessions of a volume that a listing has shown, also those pruned since. */
  sessions(volume: VolumeId): SessionName[] {
    return Object.keys(this.#before[volume] ?? {}).filter((name) => isSessionName(name));
  }

  /** @param head proven */
  add({ volume, session, sequence, size, changedBytes, time, state, base }: Head): void {
    if (this.#before[volume]?.[session] === undefined) this.#changed = true;
    (this.#after[volume] ??= {})[session] = [sequence, size, changedBytes, time, state, base];
  }

  /** Saves only the heads that were asked for or added. */
  save(): void {
    if (!this.#changed) return;
    const body = JSON.stringify(this.#after);
    writeDurably(this.#file, `${checkOf(body)}\n${body}`);
  }
}

function checkOf(body: string): string {
  return hash('sha256', body, 'hex');
}

function read(file: string): Volumes {
  try {
    const text = readFileSync(file, 'utf8');
    const end = text.indexOf('\n');
    const body = text.slice(end + 1);
    return text.slice(0, end) === checkOf(body) ? (JSON.parse(body) as Volumes) : {};
  } catch {
    return {};
  }
}
