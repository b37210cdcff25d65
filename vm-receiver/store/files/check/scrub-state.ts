/**
 * The scrub state of a volume, in `scrub/<volume id>`: since when each session was read completely, how far the current
 * reading has come, and which damage was found. If it is lost, everything is read again.
 */
import { join } from 'node:path';
import { isSessionName, type SessionName, type VolumeId } from '../../../../shared/archive/names.ts';
import { MAX_DAMAGE } from '../../../../shared/wire/limits.ts';
import * as z from '../../../../shared/zod.ts';
import type { Disk } from '../disk/disk.ts';
import { readOwn, writeOwn } from '../disk/own-file.ts';
import { SCRUB } from '../layout/paths.ts';

const time = z.int().check(z.minimum(0), z.maximum(Number.MAX_SAFE_INTEGER));
const session = z.custom<SessionName>((value) => typeof value === 'string' && isSessionName(value));
const known = z.object({
  /** Everything that the session has was read after this (ms since 1970). */
  since: z.optional(time),
  /** When the current reading began, and the next range: a folder's name, '' for the first. */
  began: z.optional(time),
  next: z.optional(z.string().check(z.maxLength(10))),
});
const schema = z.object({
  sessions: z.record(session, known),
  /** `session/file` and `session/range/file`. */
  damaged: z.array(z.string().check(z.maxLength(64))).check(z.maxLength(MAX_DAMAGE)),
});

/** A file of 65,536 damages of 56 bytes, and a few thousand sessions. */
const MAX_STATE = 8 * 2 ** 20;

export type Known = z.infer<typeof known>;

export class ScrubState {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #sessions: Map<SessionName, Known>;
  readonly damaged: Set<string>;

  private constructor(disk: Disk, path: string, sessions: Map<SessionName, Known>, damaged: Set<string>) {
    this.#disk = disk;
    this.#path = path;
    this.#sessions = sessions;
    this.damaged = damaged;
  }

  static load(disk: Disk, archive: string, volume: VolumeId): ScrubState {
    const path = join(archive, SCRUB, volume);
    const { sessions, damaged } = read(disk, path);
    return new ScrubState(disk, path, new Map(Object.entries(sessions) as [SessionName, Known][]), new Set(damaged));
  }

  get(name: SessionName): Known {
    return this.#sessions.get(name) ?? {};
  }

  set(name: SessionName, value: Known): void {
    this.#sessions.set(name, value);
  }

  /**
   * Adapts to removed sessions: the next newer existing session has taken over files of a removed one, so it counts as
   * not read since then. `present`: oldest first.
   */
  follow(present: readonly SessionName[]): void {
    for (const [name, { since }] of [...this.#sessions]) {
      if (present.includes(name)) continue;
      this.#sessions.delete(name);
      const heir = present.find((each) => each > name);
      if (heir === undefined) continue;
      const before = this.get(heir).since;
      this.set(heir, since === undefined || before === undefined ? {} : { since: Math.min(since, before) });
    }
    for (const name of present) if (!this.#sessions.has(name)) this.set(name, {});
  }

  /** Durable when it returns; returns whether it could be written. */
  save(): boolean {
    const sessions = Object.fromEntries(this.#sessions);
    const damaged = [...this.damaged].sort().slice(0, MAX_DAMAGE);
    return writeOwn(this.#disk, this.#path, `${JSON.stringify({ sessions, damaged })}\n`);
  }
}

function read(disk: Disk, path: string): z.infer<typeof schema> {
  const nothing = { sessions: {}, damaged: [] };
  const bytes = readOwn(disk, path, MAX_STATE);
  if (bytes === undefined) return nothing;
  try {
    return schema.safeParse(JSON.parse(Buffer.from(bytes).toString())).data ?? nothing;
  } catch {
    return nothing;
  }
}
