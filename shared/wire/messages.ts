/**
 * Every message of the protocol, as a schema: docs/protocol.md has the phases and the answers to each request. Both
 * sides check each message by its schema after the strict scan (scan.ts); a message that matches none ends the
 * connection.
 */
import { CHUNKS_PER_RANGE, MAX_VOLUME_SIZE, isChunkSize } from '../archive/address.ts';
import {
  isArchiveName,
  isId,
  isSessionName,
  isSlotName,
  type ArchiveId,
  type ArchiveName,
  type PairingId,
  type SessionName,
  type VolumeId,
} from '../archive/names.ts';
import * as z from '../zod.ts';
import { GRANTS } from './grants.ts';
import { MAX_ADDRESSES, MAX_PRUNED, MAX_SLOTS, PART_SIZE } from './limits.ts';

const uint = z.int().check(z.minimum(0), z.maximum(Number.MAX_SAFE_INTEGER));
const size = uint.check(z.maximum(MAX_VOLUME_SIZE));
const address = uint.check(z.maximum(MAX_VOLUME_SIZE));
const range = uint.check(z.maximum(MAX_VOLUME_SIZE / (64 * 1024) / CHUNKS_PER_RANGE));
const id = uint.check(z.minimum(1));
const bin: z.ZodMiniType<Uint8Array> = z.instanceof(Uint8Array);
/**
 * For fields where empty would mean something else: an empty chunk file stands for zeros, empty parts would never end.
 */
const someBytes = bin.check(z.refine((value) => value.length > 0, 'empty'));
const hash = bin.check(z.refine((value) => value.length === 32, 'not a hash of 32 bytes'));
const text = z.string().check(z.maxLength(1024));
const archive = z.custom<ArchiveName>(
  (value) => typeof value === 'string' && isArchiveName(value),
  'not an archive name',
);
const archiveId = z.custom<ArchiveId>((value) => typeof value === 'string' && isId(value), 'not an id');
const volume = z.custom<VolumeId>((value) => typeof value === 'string' && isId(value), 'not an id');
const pairing = z.custom<PairingId>((value) => typeof value === 'string' && isId(value), 'not an id');
const session = z.custom<SessionName>(
  (value) => typeof value === 'string' && isSessionName(value),
  'not a session name',
);
const volumeName = z.string().check(z.minLength(1), z.maxLength(4096));
const slot = z.string().check(z.refine(isSlotName, 'not a slot name'));
const chunkSize = uint.check(z.refine(isChunkSize, 'not a chunk size'));

/** Error codes that the receiver may answer a request with. */
export const REMOTE_ERRORS = [
  'version', // it does not speak this protocol version
  'not-found', // no such archive, volume, session
  'exists', // create: another archive has the name
  'unsupported', // the archive's format needs a newer receiver
  'stale-base', // begin, commit: the base is not the volume's newest session
  'conflict', // put-catalogue: it does not replace the stored one; commit: the .tmp is another folder
  'refused', // outside the grant, or the VM's own configuration forbids it
  'not-mounted', // the backup disk is not there
  'no-space', // no bytes or inodes left, or below the floor
  'io', // a system call failed; nothing after it counts
  'locked', // another process holds the lock, and the wait is over
  'bad-request', // right form, wrong content or phase
] as const;
export type RemoteError = (typeof REMOTE_ERRORS)[number];

/**
 * The one message that other versions must be able to read, so that they can refuse each other by name: any version
 * fits, and unknown fields are dropped. The reader of it compares `version`.
 */
const hello = z.object({
  t: z.literal('hello'),
  version: uint,
  /** The program's own version, for people. */
  release: text,
  capabilities: z.array(text).check(z.maxLength(64)),
});

/** Messages from the agent. Those with an `id` are requests: each gets exactly one closing answer. */
export const agentMessage = z.discriminatedUnion('t', [
  hello,
  z.strictObject({
    t: z.literal('create'),
    id,
    archive,
    archiveId,
    chunkSize,
    encrypted: z.boolean(),
    dedup: z.boolean(),
    slots: z.array(z.strictObject({ name: slot, data: someBytes })).check(z.maxLength(MAX_SLOTS)),
    catalogue: someBytes,
  }),
  z.strictObject({ t: z.literal('open'), id, archive, lockWait: uint.check(z.maximum(86_400)) }),
  z.strictObject({ t: z.literal('get-slots'), id }),
  z.strictObject({ t: z.literal('put-slot'), id, name: slot, data: someBytes }),
  z.strictObject({ t: z.literal('drop-slot'), id, name: slot }),
  z.strictObject({ t: z.literal('get-catalogue'), id }),
  z.strictObject({ t: z.literal('put-catalogue'), id, replaces: hash }),
  z.strictObject({ t: z.literal('get-volumes'), id }),
  z.strictObject({ t: z.literal('get-heads'), id, volume, sessions: z.array(session).check(z.maxLength(1024)) }),
  z.strictObject({ t: z.literal('get-index'), id, volume, session }),
  z.strictObject({ t: z.literal('get-page'), id, volume, session, range }),
  z.strictObject({
    t: z.literal('get-chunks'),
    id,
    volume,
    session,
    addresses: z.array(address).check(z.minLength(1), z.maxLength(MAX_ADDRESSES)),
  }),
  /** How much pruning all of these sessions would free. */
  z.strictObject({
    t: z.literal('get-freed'),
    id,
    volume,
    sessions: z.array(session).check(z.minLength(1), z.maxLength(MAX_PRUNED)),
  }),
  z.strictObject({ t: z.literal('get-space'), id }),
  /** What is known to be corrupt or missing in the volume's newest session. */
  z.strictObject({ t: z.literal('get-damage'), id, volume }),
  z.strictObject({ t: z.literal('prune'), id, volume, session }),
  z.strictObject({ t: z.literal('protect'), id, volume, session, on: z.boolean() }),
  z.strictObject({ t: z.literal('rename'), id, volume, name: volumeName }),
  z.strictObject({ t: z.literal('delete'), id, volume }),
  /** An intact chunk in place of a corrupt or missing one; without bytes for zeros. */
  z.strictObject({ t: z.literal('mend-chunk'), id, volume, session, address, data: bin }),
  z.strictObject({ t: z.literal('mend-page'), id, volume, session, range, data: someBytes }),
  z.strictObject({ t: z.literal('resolve'), id, volume, pairing, resume: z.boolean() }),
  z.strictObject({
    t: z.literal('begin'),
    id,
    volume,
    pairing,
    base: z.nullable(session),
    session,
    size,
    resume: z.boolean(),
    /** Only in a plain archive: the volume's name, for restoring by hand. */
    name: z.nullable(volumeName),
  }),
  z.strictObject({ t: z.literal('chunk'), address, data: someBytes }),
  z.strictObject({ t: z.literal('zeros'), address, count: uint.check(z.minimum(1)) }),
  z.strictObject({ t: z.literal('page'), range, data: someBytes }),
  z.strictObject({ t: z.literal('checkpoint'), id, address }),
  z.strictObject({
    t: z.literal('part'),
    data: someBytes.check(z.refine((value) => value.length <= PART_SIZE, 'too long')),
  }),
  z.strictObject({ t: z.literal('commit'), id, head: someBytes }),
  z.strictObject({ t: z.literal('abandon'), id, keep: z.boolean() }),
  z.strictObject({ t: z.literal('alive') }),
  z.strictObject({ t: z.literal('bye'), id }),
]);
export type AgentMessage = z.infer<typeof agentMessage>;
export type AgentRequest = Extract<AgentMessage, { id: number }>;

/** Messages from the receiver. All but `hello` have in `re` the id of the request that they answer. */
export const receiverMessage = z.discriminatedUnion('t', [
  z.extend(hello, { grant: z.enum(GRANTS) }),
  z.strictObject({ t: z.literal('done'), re: uint }),
  z.strictObject({ t: z.literal('error'), re: uint, code: z.enum(REMOTE_ERRORS), message: text }),
  z.strictObject({ t: z.literal('working'), re: uint, count: uint }),
  z.strictObject({ t: z.literal('absent'), re: uint }),
  z.strictObject({
    t: z.literal('opened'),
    re: uint,
    archiveId,
    chunkSize,
    encrypted: z.boolean(),
    dedup: z.boolean(),
    /** The receiver's own rules: how many of a volume's newest sessions stay, and whether volumes may be deleted. */
    minKeep: id,
    allowDelete: z.boolean(),
  }),
  z.strictObject({ t: z.literal('slot'), re: uint, name: slot, data: someBytes }),
  /** A piece of a long object (catalogue, index, page), in order; `done` follows the last. */
  z.strictObject({ t: z.literal('data'), re: uint, data: someBytes }),
  /**
   * One volume's sessions, oldest first; a volume's sessions that do not fit into one message follow in further ones.
   */
  z.strictObject({
    t: z.literal('volume'),
    re: uint,
    volume,
    sessions: z
      .array(z.strictObject({ session, storedBytes: uint, files: uint, protected: z.boolean() }))
      .check(z.maxLength(1024)),
  }),
  /**
   * `data` is empty if the file is empty, as earlier receivers answer: one corrupt head is no reason to end the
   * connection.
   */
  z.strictObject({ t: z.literal('head'), re: uint, session, data: bin }),
  /**
   * In place of a volume, head or slot that cannot be given: its id, session or name, and why. Only to an agent whose
   * `hello` names the capability.
   */
  z.strictObject({
    t: z.literal('lost'),
    re: uint,
    name: z.string().check(z.minLength(1), z.maxLength(64)),
    message: text,
  }),
  /** `data`: nil if no session up to the asked one has a file, empty if the newest file is empty (zeros). */
  z.strictObject({ t: z.literal('stored'), re: uint, address, data: z.nullable(bin) }),
  z.strictObject({
    t: z.literal('resolved'),
    re: uint,
    session: z.nullable(session),
    head: z.nullable(bin),
    checkpoint: z.nullable(address),
  }),
  z.strictObject({ t: z.literal('freed'), re: uint, bytes: uint }),
  /** `freeInodes`: nil if the file system has no fixed number of them. */
  z.strictObject({ t: z.literal('space'), re: uint, totalBytes: uint, freeBytes: uint, freeInodes: z.nullable(uint) }),
  /** Addresses of chunks and numbers of pages, each rising through all `damage` items of one request. */
  z.strictObject({
    t: z.literal('damage'),
    re: uint,
    addresses: z.array(address).check(z.maxLength(1024)),
    pages: z.array(range).check(z.maxLength(1024)),
  }),
]);
export type ReceiverMessage = z.infer<typeof receiverMessage>;
