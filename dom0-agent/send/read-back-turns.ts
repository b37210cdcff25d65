/**
 * Which volumes are read back, and from where: a send reads no more than its budget, shared by all of its volumes. Kept
 * beside the archive's state. If the file is unreadable, all volumes start over.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isId, type VolumeId } from '../../shared/archive/names.ts';
import { writeDurably } from '../../shared/durable.ts';
import * as z from '../../shared/zod.ts';

const FILE = 'read-back.json';

/** Bytes that one send reads back of what it did not send. */
export const READ_BACK_BUDGET = 32 * 2 ** 20;
/** Chunks of one volume in one send. */
const MOST_CHUNKS = 16;

const uint = z.int().check(z.minimum(0), z.maximum(Number.MAX_SAFE_INTEGER));
const schema = z.strictObject({
  v: z.literal(1),
  volumes: z.record(
    z.string().check(z.refine(isId)),
    z.strictObject({
      /** The chunk to continue from. */
      chunk: uint,
      /** Time of the last turn; milliseconds since 1970. */
      time: uint,
    }),
  ),
});

/** One volume's share in one send. */
export interface Turn {
  /** The chunk to begin with; afterwards the one to continue from. */
  from: number;
  readonly chunks: number;
}

export class ReadBackTurns {
  readonly #file: string;
  readonly #chunkSize: number;
  readonly #kept: Record<string, { readonly chunk: number; readonly time: number }>;
  readonly #given = new Map<VolumeId, Turn>();

  /** @param folder of the archive's state */
  constructor(folder: string, chunkSize: number) {
    this.#file = join(folder, FILE);
    this.#chunkSize = chunkSize;
    this.#kept = read(this.#file);
  }

  /**
   * The volumes with their turns, the longest waiting first. If there are more volumes than chunks in the budget, some
   * have no turn.
   */
  inOrder<T extends { readonly volume: VolumeId }>(
    volumes: readonly T[],
  ): { readonly volume: T; readonly turn: Turn }[] {
    let left = Math.max(1, Math.floor(READ_BACK_BUDGET / this.#chunkSize));
    const share = Math.min(MOST_CHUNKS, Math.max(1, Math.floor(left / Math.max(1, volumes.length))));
    const lastOf = ({ volume }: T): number => this.#kept[volume]?.time ?? 0;
    return [...volumes]
      .sort((a, b) => lastOf(a) - lastOf(b))
      .map((volume) => {
        const chunks = Math.min(share, left);
        left -= chunks;
        const turn = { from: this.#kept[volume.volume]?.chunk ?? 0, chunks };
        if (chunks > 0) this.#given.set(volume.volume, turn);
        return { volume, turn };
      });
  }

  /** Saves where each turn stopped. If the state cannot be written, the next send reads the same again. */
  save(): void {
    if (this.#given.size === 0) return;
    const time = Date.now();
    const given = [...this.#given].map(([volume, { from }]) => [volume, { chunk: from, time }] as const);
    const volumes = { ...this.#kept, ...Object.fromEntries(given) };
    try {
      writeDurably(this.#file, `${JSON.stringify({ v: 1, volumes })}\n`);
    } catch {
      // The next send reads the same again.
    }
  }
}

function read(file: string): z.infer<typeof schema>['volumes'] {
  try {
    return schema.parse(JSON.parse(readFileSync(file, 'utf8'))).volumes;
  } catch {
    return {};
  }
}
