// What `--json` prints, as the contract has it: no field more, none less.

import * as z from 'zod';

z.config({ jitless: true });

const uint = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const session = z.string().regex(/^S_\d{8}-\d{6}$/);
const id = z.string().regex(/^[0-9a-f]{32}$/);
const error = z.strictObject({
  code: z.string().min(1),
  message: z.string().min(1),
  hint: z.string().min(1).optional(),
});

export const initDocument = z.strictObject({
  archive: z.string(),
  id,
  encrypted: z.boolean(),
  chunkSize: uint,
  dedup: z.boolean(),
  identity: z.enum(['blake2b', 'sha256']),
  identityRates: z.strictObject({ blake2b: uint, sha256: uint }).optional(),
  recoveryKey: z
    .string()
    .regex(/^([0-9A-Z]{7}-){7}[0-9A-Z]{7}$/)
    .optional(),
  aside: z.string().optional(),
});

export const sentVolume = z.strictObject({
  name: z.string(),
  kind: z.enum(['full', 'incremental', 'unchanged', 'skipped', 'failed']),
  compared: z.boolean(),
  volumeBytes: uint,
  changedBytes: uint,
  chunks: uint,
  zeroChunks: uint,
  sentBytes: uint,
  seconds: z.number().min(0),
  running: z.literal(true).optional(),
  damage: z.strictObject({ repaired: uint, lost: uint, left: uint.optional() }).optional(),
  error: error.optional(),
});
export type SentVolume = z.infer<typeof sentVolume>;

export const pruneDocument = z.strictObject({
  dryRun: z.boolean(),
  volumes: z.array(
    z.strictObject({
      name: z.string(),
      sessions: z.array(
        z.strictObject({
          session,
          time: z.iso.datetime(),
          reasons: z.array(
            z.enum([
              ...(['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly', 'within'] as const),
              ...(['tag', 'protected', 'newest', 'min-keep', 'unproven', 'unnamed', 'damaged'] as const),
            ]),
          ),
          pruned: z.boolean(),
        }),
      ),
      freedBytes: uint,
      error: error.optional(),
    }),
  ),
  freedBytes: uint,
  error: error.optional(),
});

/** What is doubtful of the clock. */
const clock = z
  .strictObject({
    doubt: z.enum(['earlier', 'much-later', 'past-2100']),
    now: z.iso.datetime(),
    newest: z.strictObject({ session, time: z.iso.datetime() }).nullable(),
  })
  .nullable();

export const sendDocument = z.strictObject({
  session: session.nullable(),
  clock,
  volumes: z.array(sentVolume),
  pruned: pruneDocument.optional(),
  error: error.optional(),
});
export type SendDocument = z.infer<typeof sendDocument>;

export const dryRunDocument = z.strictObject({
  dryRun: z.literal(true),
  clock,
  volumes: z.array(z.strictObject({ name: z.string(), changedBytes: uint.nullable(), error: error.optional() })),
});

export const monitorDocument = z.strictObject({
  volumes: z.array(
    z.discriminatedUnion('kind', [
      z.strictObject({
        name: z.string(),
        kind: z.literal('monitored'),
        changedBytes: uint,
        maps: z.array(z.strictObject({ archive: id, changedChunks: uint })),
      }),
      z.strictObject({ name: z.string(), kind: z.literal('unpaired') }),
      z.strictObject({ name: z.string(), kind: z.literal('reset'), reason: z.string().min(1) }),
      z.strictObject({ name: z.string(), kind: z.literal('missing'), error }),
      z.strictObject({ name: z.string(), kind: z.literal('failed'), error }),
      z.strictObject({ name: z.string(), kind: z.literal('skipped'), error }),
    ]),
  ),
});

const proof = z.strictObject({ session, chunks: uint, time: z.iso.datetime() }).nullable();

export const listDocument = z.strictObject({
  volumes: z.array(
    z.strictObject({
      name: z.string(),
      sizeBytes: uint,
      uncatalogued: z.literal(true).optional(),
      proven: z.strictObject({ whole: proof, sample: proof }),
      sessions: z.array(
        z.strictObject({
          session,
          sequence: uint.min(1),
          kind: z.enum(['full', 'incremental']),
          sizeBytes: uint,
          changedBytes: uint,
          storedBytes: uint,
          tags: z.array(z.string()),
          time: z.iso.datetime(),
          state: z.enum(['stopped', 'running']),
        }),
      ),
      error: error.optional(),
    }),
  ),
});
export type ListDocument = z.infer<typeof listDocument>;

/** Which archive, and how far it is. */
const line = z.strictObject({ id, sequence: uint.min(1), hash: z.string().regex(/^[0-9a-f]{64}$/) });

export const statusDocument = z.strictObject({
  archive: z.string(),
  ...line.shape,
  clock,
  volumes: z.array(
    z.strictObject({
      name: z.string(),
      pool: z.string().nullable(),
      kind: z.enum(['saved', 'new', 'missing', 'skipped', 'failed', 'unselected']),
      error: error.optional(),
      session: session.nullable(),
      changedChunks: uint.nullable(),
      noted: z.iso.datetime().nullable(),
      unfinished: session.nullable(),
      running: z.boolean(),
      missingSince: z.iso.datetime().nullable(),
      proven: z.strictObject({ whole: proof, sample: proof }),
    }),
  ),
});

export const restoreDocument = z.strictObject({
  name: z.string(),
  session,
  to: z.string(),
  kept: z.string().optional(),
  private: z.boolean().optional(),
  sizeBytes: uint,
  dataBytes: uint,
  chunks: uint,
  state: z.enum(['stopped', 'running']),
  seconds: z.number().min(0),
  authenticated: z.literal(false).optional(),
});

export const verifyDocument = z.strictObject({
  sessions: z.array(
    z.strictObject({
      name: z.string(),
      session,
      chunks: uint,
      bytes: uint,
      badChunks: uint,
      bad: z.array(z.strictObject({ address: uint, reason: z.string() })),
      error: error.optional(),
      alike: uint.min(1).optional(),
    }),
  ),
  error: error.optional(),
  /** Slots, and the catalogue, that are damaged. */
  files: z.array(z.strictObject({ file: z.string().min(1), error: error.extend({ hint: z.string().optional() }) })),
});

export const slotsDocument = z.strictObject({
  slots: z.array(z.strictObject({ name: z.string(), kind: z.enum(['passphrase', 'recovery key', 'DAMAGED']) })),
  line,
});

export const unlockDocument = z.strictObject({
  archive: z.string(),
  ...line.shape,
  aside: z.string().optional(),
  knew: line.nullable().optional(),
});

/** What stands on stdout in place of a command's document when the command failed as a whole. */
export const errorDocument = z.strictObject({ error });

/** Of a command that was ended by an error: that, and perhaps what it had done by then. */
export const endedDocument = z.looseObject({ error });

export const tagDocument = z.strictObject({ name: z.string(), session, tags: z.array(z.string()) });

export const renameDocument = z.strictObject({ name: z.string(), was: z.string() });

export const deleteDocument = z.strictObject({ name: z.string(), deleted: z.literal(true), freedBytes: uint });

export const adoptDocument = z.strictObject({
  archive: z.string(),
  sequence: uint.min(1),
  adopted: z.array(z.strictObject({ name: z.string(), session, isNew: z.boolean() })),
});
