/** Every message of the protocol, at random, and its smallest form. */
import fc from 'fast-check';
import { GRANTS } from '../../../shared/wire/grants.ts';
import type { AgentMessage, ReceiverMessage } from '../../../shared/wire/messages.ts';
import { REMOTE_ERRORS } from '../../../shared/wire/messages.ts';
import { MAX_VOLUME_SIZE } from '../../../shared/archive/address.ts';
import {
  nextSessionName,
  type ArchiveId,
  type ArchiveName,
  type PairingId,
  type VolumeId,
} from '../../../shared/archive/names.ts';

/** Without half surrogate pairs, which have no UTF-8. */
export const isWellFormed = (value: string): boolean => !/\p{Surrogate}/u.test(value);

const anyId = fc.stringMatching(/^[0-9a-f]{32}$/);
const archiveId = anyId as fc.Arbitrary<ArchiveId>;
const volume = anyId as fc.Arbitrary<VolumeId>;
const pairing = anyId as fc.Arbitrary<PairingId>;
const archive = fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,62}$/) as fc.Arbitrary<ArchiveName>;
const name = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,31}$/);
const session = fc.integer({ min: 0, max: 4e12 }).map((now) => nextSessionName(now, undefined));
const text = fc
  .string({ unit: 'binary', maxLength: 100 })
  .filter((value) => isWellFormed(value) && !value.startsWith('\ufeff'));
const anyBytes = fc.uint8Array({ maxLength: 300 });
const data = anyBytes.filter((value) => value.length > 0);
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
const volumeName = text.filter((value) => value.length > 0);
const uint = fc.maxSafeNat();
const id = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const address = fc.integer({ min: 0, max: MAX_VOLUME_SIZE });
const range = fc.nat(2 ** 18);
const flag = fc.boolean();
const chunkSize = fc.integer({ min: 16, max: 22 }).map((power) => 2 ** power);
const orNull = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(value, { nil: null });

/** A record of constant `t` and the given fields, in this order. */
function message<T extends string, F extends object>(
  t: T,
  fields: { [K in keyof F]: fc.Arbitrary<F[K]> } = {} as { [K in keyof F]: fc.Arbitrary<F[K]> },
): fc.Arbitrary<{ t: T } & F> {
  return fc.record<{ t: T } & F>({ t: fc.constant(t), ...fields } as never, { noNullPrototype: true });
}

/** A type error here means that a message was added to the schemas and not to the tests. */
export const agentMessages: {
  [T in AgentMessage['t']]: fc.Arbitrary<Extract<AgentMessage, { t: T }>>;
} = {
  hello: message('hello', { version: uint, release: text, capabilities: fc.array(text, { maxLength: 4 }) }),
  create: message('create', {
    id,
    archive,
    archiveId,
    chunkSize,
    encrypted: flag,
    dedup: flag,
    slots: fc.array(fc.record({ name, data }, { noNullPrototype: true }), { maxLength: 16 }),
    catalogue: data,
  }),
  open: message('open', { id, archive, lockWait: fc.nat(86_400) }),
  'get-slots': message('get-slots', { id }),
  'put-slot': message('put-slot', { id, name, data }),
  'drop-slot': message('drop-slot', { id, name }),
  'get-catalogue': message('get-catalogue', { id }),
  'put-catalogue': message('put-catalogue', { id, replaces: hash }),
  'get-volumes': message('get-volumes', { id }),
  'get-heads': message('get-heads', { id, volume, sessions: fc.array(session, { maxLength: 20 }) }),
  'get-index': message('get-index', { id, volume, session }),
  'get-page': message('get-page', { id, volume, session, range }),
  'get-chunks': message('get-chunks', {
    id,
    volume,
    session,
    addresses: fc.array(address, { minLength: 1, maxLength: 64 }),
  }),
  'get-freed': message('get-freed', { id, volume, sessions: fc.array(session, { minLength: 1, maxLength: 20 }) }),
  'get-space': message('get-space', { id }),
  'get-damage': message('get-damage', { id, volume }),
  prune: message('prune', { id, volume, session }),
  protect: message('protect', { id, volume, session, on: flag }),
  rename: message('rename', { id, volume, name: volumeName }),
  delete: message('delete', { id, volume }),
  'mend-chunk': message('mend-chunk', { id, volume, session, address, data: anyBytes }),
  'mend-page': message('mend-page', { id, volume, session, range, data }),
  resolve: message('resolve', { id, volume, pairing, resume: flag }),
  begin: message('begin', {
    id,
    volume,
    pairing,
    base: orNull(session),
    session,
    size: address,
    resume: flag,
    name: orNull(volumeName),
  }),
  chunk: message('chunk', { address, data }),
  zeros: message('zeros', { address, count: id }),
  page: message('page', { range, data }),
  checkpoint: message('checkpoint', { id, address }),
  part: message('part', { data }),
  commit: message('commit', { id, head: data }),
  abandon: message('abandon', { id, keep: flag }),
  alive: message('alive'),
  bye: message('bye', { id }),
};

export const receiverMessages: {
  [T in ReceiverMessage['t']]: fc.Arbitrary<Extract<ReceiverMessage, { t: T }>>;
} = {
  hello: message('hello', {
    version: uint,
    release: text,
    capabilities: fc.array(text, { maxLength: 4 }),
    grant: fc.constantFrom(...GRANTS),
  }),
  done: message('done', { re: uint }),
  error: message('error', { re: uint, code: fc.constantFrom(...REMOTE_ERRORS), message: text }),
  working: message('working', { re: uint, count: uint }),
  absent: message('absent', { re: uint }),
  opened: message('opened', {
    re: uint,
    archiveId,
    chunkSize,
    encrypted: flag,
    dedup: flag,
    minKeep: id,
    allowDelete: flag,
  }),
  slot: message('slot', { re: uint, name, data }),
  lost: message('lost', { re: uint, name, message: text }),
  data: message('data', { re: uint, data }),
  volume: message('volume', {
    re: uint,
    volume,
    sessions: fc.array(
      fc.record({ session, storedBytes: uint, files: uint, protected: flag }, { noNullPrototype: true }),
      {
        maxLength: 20,
      },
    ),
  }),
  head: message('head', { re: uint, session, data }),
  stored: message('stored', { re: uint, address, data: orNull(anyBytes) }),
  resolved: message('resolved', {
    re: uint,
    session: orNull(session),
    head: orNull(data),
    checkpoint: orNull(address),
  }),
  freed: message('freed', { re: uint, bytes: uint }),
  space: message('space', { re: uint, totalBytes: uint, freeBytes: uint, freeInodes: orNull(uint) }),
  damage: message('damage', {
    re: uint,
    addresses: fc.array(address, { maxLength: 20 }),
    pages: fc.array(range, { maxLength: 20 }),
  }),
};

export const agentMessage: fc.Arbitrary<AgentMessage> = fc.oneof(...Object.values(agentMessages));
export const receiverMessage: fc.Arbitrary<ReceiverMessage> = fc.oneof(...Object.values(receiverMessages));
