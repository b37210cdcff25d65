/** `archive.json`: what the receiver needs to know about an archive. dom0 does not trust it. */
import { join } from 'node:path';
import { isChunkSize } from '../../../../shared/archive/address.ts';
import { isId, type ArchiveId } from '../../../../shared/archive/names.ts';
import * as z from '../../../../shared/zod.ts';
import { Refusal } from '../../refusal.ts';
import type { NewArchive } from '../../store.ts';
import type { Disk } from '../disk/disk.ts';
import { DESCRIPTION } from './paths.ts';
import { readSmall } from '../disk/small-file.ts';

/** The format that this receiver reads and writes. */
const FORMAT = 1;

const version = z.int().check(z.minimum(1));
const versions = z.object({ format: version, minReader: version, minWriter: version });
const schema = z.extend(versions, {
  id: z.custom<ArchiveId>((value) => typeof value === 'string' && isId(value), 'not an id'),
  chunkSize: z.number().check(z.refine(isChunkSize, 'not a chunk size')),
  encrypted: z.boolean(),
  dedup: z.boolean(),
});

export type Description = Omit<z.infer<typeof schema>, keyof z.infer<typeof versions>> & {
  /** Whether this receiver may change the archive. */
  readonly writable: boolean;
};

export function describeArchive({ id, chunkSize, encrypted, dedup }: NewArchive): string {
  const description = { format: FORMAT, minReader: FORMAT, minWriter: FORMAT, id, chunkSize, encrypted, dedup };
  return `${JSON.stringify(description)}\n`;
}

/** @throws Refusal `not-found` if there is none, `unsupported` if a newer receiver is needed, `io` if it is damaged */
export function readDescription(disk: Disk, archive: string, name: string): Description {
  const bytes = readSmall(disk, join(archive, DESCRIPTION), DESCRIPTION, 64 * 1024);
  if (bytes === undefined) throw new Refusal('not-found', `there is no archive ${name}`);
  const content = parse(bytes);
  const needs = versions.safeParse(content).data;
  if (needs !== undefined && needs.minReader > FORMAT) {
    throw new Refusal('unsupported', `archive ${name} needs a receiver that reads format ${needs.minReader}`, {
      hint: 'Upgrade sparsebak in the backup VM.',
    });
  }
  const result = schema.safeParse(content);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw new Refusal('io', `${DESCRIPTION} is damaged: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
  }
  const { id, chunkSize, encrypted, dedup, minWriter } = result.data;
  return { id, chunkSize, encrypted, dedup, writable: minWriter <= FORMAT };
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch (error) {
    throw new Refusal('io', `${DESCRIPTION} is damaged: it is not JSON`, { cause: error });
  }
}
