// What `--json` prints, as the contract has it: no field more, none less.

import * as z from '../../shared/zod.ts';

const uint = z.int().check(z.minimum(0), z.maximum(Number.MAX_SAFE_INTEGER));
const session = z.string().check(z.regex(/^S_\d{8}-\d{6}$/));
const id = z.string().check(z.regex(/^[0-9a-f]{32}$/));
const error = z.strictObject({
  code: z.string().check(z.minLength(1)),
  message: z.string().check(z.minLength(1)),
  hint: z.optional(z.string().check(z.minLength(1))),
});

export const initDocument = z.strictObject({
  archive: z.string(),
  id,
  encrypted: z.boolean(),
  chunkSize: uint,
  dedup: z.boolean(),
  identity: z.enum(['blake2b', 'sha256']),
  identityRates: z.optional(z.strictObject({ blake2b: uint, sha256: uint })),
  recoveryKey: z.optional(z.string().check(z.regex(/^([0-9A-Z]{7}-){7}[0-9A-Z]{7}$/))),
  aside: z.optional(z.string()),
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
  seconds: z.number().check(z.minimum(0)),
  running: z.optional(z.literal(true)),
  damage: z.optional(z.strictObject({ repaired: uint, lost: uint, left: z.optional(uint) })),
  error: z.optional(error),
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
      error: z.optional(error),
    }),
  ),
  freedBytes: uint,
  error: z.optional(error),
});

/** What is doubtful of the clock. */
const clock = z.nullable(
  z.strictObject({
    doubt: z.enum(['earlier', 'much-later', 'past-2100']),
    now: z.iso.datetime(),
    newest: z.nullable(z.strictObject({ session, time: z.iso.datetime() })),
  }),
);

export const sendDocument = z.strictObject({
  session: z.nullable(session),
  clock,
  volumes: z.array(sentVolume),
  pruned: z.optional(pruneDocument),
  error: z.optional(error),
});
export type SendDocument = z.infer<typeof sendDocument>;

export const dryRunDocument = z.strictObject({
  dryRun: z.literal(true),
  clock,
  volumes: z.array(z.strictObject({ name: z.string(), changedBytes: z.nullable(uint), error: z.optional(error) })),
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
      z.strictObject({ name: z.string(), kind: z.literal('reset'), reason: z.string().check(z.minLength(1)) }),
      z.strictObject({ name: z.string(), kind: z.literal('missing'), error }),
      z.strictObject({ name: z.string(), kind: z.literal('failed'), error }),
      z.strictObject({ name: z.string(), kind: z.literal('skipped'), error }),
    ]),
  ),
});

const proof = z.nullable(z.strictObject({ session, chunks: uint, time: z.iso.datetime() }));

export const listDocument = z.strictObject({
  volumes: z.array(
    z.strictObject({
      name: z.string(),
      sizeBytes: uint,
      uncatalogued: z.optional(z.literal(true)),
      proven: z.strictObject({ whole: proof, sample: proof }),
      sessions: z.array(
        z.strictObject({
          session,
          sequence: uint.check(z.minimum(1)),
          kind: z.enum(['full', 'incremental']),
          sizeBytes: uint,
          changedBytes: uint,
          storedBytes: uint,
          tags: z.array(z.string()),
          time: z.iso.datetime(),
          state: z.enum(['stopped', 'running']),
        }),
      ),
      error: z.optional(error),
    }),
  ),
});
export type ListDocument = z.infer<typeof listDocument>;

/** Which archive, and how far it is. */
const line = z.strictObject({
  id,
  sequence: uint.check(z.minimum(1)),
  hash: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
});

export const statusDocument = z.strictObject({
  archive: z.string(),
  ...line.shape,
  clock,
  volumes: z.array(
    z.strictObject({
      name: z.string(),
      pool: z.nullable(z.string()),
      kind: z.enum(['saved', 'new', 'missing', 'skipped', 'failed', 'unselected']),
      error: z.optional(error),
      session: z.nullable(session),
      changedChunks: z.nullable(uint),
      noted: z.nullable(z.iso.datetime()),
      unfinished: z.nullable(session),
      running: z.boolean(),
      missingSince: z.nullable(z.iso.datetime()),
      proven: z.strictObject({ whole: proof, sample: proof }),
    }),
  ),
});

export const restoreDocument = z.strictObject({
  name: z.string(),
  session,
  to: z.string(),
  kept: z.optional(z.string()),
  private: z.optional(z.boolean()),
  sizeBytes: uint,
  dataBytes: uint,
  chunks: uint,
  state: z.enum(['stopped', 'running']),
  seconds: z.number().check(z.minimum(0)),
  authenticated: z.optional(z.literal(false)),
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
      error: z.optional(error),
      alike: z.optional(uint.check(z.minimum(1))),
    }),
  ),
  error: z.optional(error),
  /** Slots, and the catalogue, that are damaged. */
  files: z.array(
    z.strictObject({
      file: z.string().check(z.minLength(1)),
      error: z.extend(error, { hint: z.optional(z.string()) }),
    }),
  ),
});

export const slotsDocument = z.strictObject({
  slots: z.array(z.strictObject({ name: z.string(), kind: z.enum(['passphrase', 'recovery key', 'DAMAGED']) })),
  line,
});

export const unlockDocument = z.strictObject({
  archive: z.string(),
  ...line.shape,
  aside: z.optional(z.string()),
  knew: z.optional(z.nullable(line)),
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
  sequence: uint.check(z.minimum(1)),
  adopted: z.array(z.strictObject({ name: z.string(), session, isNew: z.boolean() })),
});
