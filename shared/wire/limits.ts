/** The numbers of docs/protocol.md. */
export const PROTOCOL_VERSION = 1;

/**
 * What both programs of this release support beyond the first release, announced in `hello` (docs/protocol.md, section
 * 2).
 */
export const CAPABILITIES = ['lost'] as const;
export type Capability = (typeof CAPABILITIES)[number];

/** Bytes that a frame may have beyond the chunk size: for sealing and the message's other fields. */
export const FRAME_MARGIN = 64 * 1024;
/** The longest frame before an archive is open, and the largest `part`. */
export const SMALL_FRAME = 128 * 1024;
/** Requests that may wait for their answer at the same time. */
export const WINDOW = 32;
/** Addresses in one `get-chunks`. */
export const MAX_ADDRESSES = 64;
/** Sessions in one `get-freed`. */
export const MAX_PRUNED = 4096;
/** Addresses, and pages, that the answers to one `get-damage` may name together. */
export const MAX_DAMAGE = 65_536;
/** Bytes of parts that one request may take together (an index of 16 TiB in 64 KiB chunks is 8 MiB). */
export const MAX_STAGED = 16 * 2 ** 20;
/** Data bytes in one `part`. */
export const PART_SIZE = 64 * 1024;
/** Pieces of one long object that may be shorter, including the last: many small pieces cost more than their bytes. */
export const MAX_SHORT_PARTS = 16;
/**
 * Sessions of all volumes together in one listing, and heads in one answer: some 25 MiB in dom0. An archive with more
 * must be pruned.
 */
export const MAX_LISTED_SESSIONS = 2 ** 17;

/** Key slots of one archive. */
export const MAX_SLOTS = 16;
