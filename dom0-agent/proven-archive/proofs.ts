/**
 * When each volume was last proven to be restorable: a complete session, or a sample of it. Kept beside the archive's
 * state for display only, so an unreadable file counts as empty.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isId, isSessionName, type SessionName, type VolumeId } from '../../shared/archive/names.ts';
import { writeDurably } from '../../shared/durable.ts';
import * as z from '../../shared/zod.ts';

const FILE = 'proofs.json';

const proof = z.strictObject({
  session: z.custom<SessionName>((value) => typeof value === 'string' && isSessionName(value)),
  /** Milliseconds since 1970. */
  time: z.int().check(z.minimum(0)),
  chunks: z.int().check(z.minimum(0)),
});
const volumeProofs = z.strictObject({ whole: z.optional(proof), sample: z.optional(proof) });
const schema = z.strictObject({ v: z.literal(1), volumes: z.record(z.string().check(z.refine(isId)), volumeProofs) });

export type Proof = z.infer<typeof proof>;
export type VolumeProofs = z.infer<typeof volumeProofs>;

/** @param folder of the archive's state */
export function readProofs(folder: string): Readonly<Record<string, VolumeProofs>> {
  try {
    return schema.parse(JSON.parse(readFileSync(join(folder, FILE), 'utf8'))).volumes;
  } catch {
    return {};
  }
}

export function noteProof(folder: string, volume: VolumeId, kind: keyof VolumeProofs, found: Proof): void {
  noteProofs(folder, kind, new Map([[volume, found]]));
}

/**
 * Notes the proofs of many volumes in one write. A state that cannot be written is ignored, so that the command does
 * not fail for it.
 */
export function noteProofs(folder: string, kind: keyof VolumeProofs, found: ReadonlyMap<VolumeId, Proof>): void {
  if (found.size === 0) return;
  const volumes = readProofs(folder);
  const noted = [...found].map(([volume, proof]) => [volume, { ...volumes[volume], [kind]: proof }] as const);
  const all = { ...volumes, ...Object.fromEntries(noted) };
  try {
    writeDurably(join(folder, FILE), `${JSON.stringify({ v: 1, volumes: all }, null, 2)}\n`);
  } catch {
    // The next send or verify notes it again.
  }
}

/** As shown to the user; null: never. */
export interface ShownProof {
  readonly session: string;
  readonly chunks: number;
  /** ISO 8601. */
  readonly time: string;
}

/** `whole`: the complete session; `sample`: a number of its chunks. */
export type ShownProofs = { readonly [Kind in keyof Required<VolumeProofs>]: ShownProof | null };

export function asProofs({ whole, sample }: VolumeProofs = {}): ShownProofs {
  return { whole: asProof(whole), sample: asProof(sample) };
}

function asProof(proof: Proof | undefined): ShownProof | null {
  if (proof === undefined) return null;
  const { session, chunks, time } = proof;
  return { session, chunks, time: new Date(time).toISOString() };
}

/** The strongest proof of one session, in short with the day; empty if there is none. */
export function describeProofs({ whole, sample }: ShownProofs, session: string | null): string {
  if (session === null) return '';
  if (whole?.session === session) return `all, ${whole.time.slice(0, 10)}`;
  return sample?.session === session ? `${sample.chunks} chunks, ${sample.time.slice(0, 10)}` : '';
}
