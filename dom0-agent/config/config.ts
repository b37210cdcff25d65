/** The configuration file (TOML): its allowed content, checked field by field. docs/cli.md describes it for users. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parse } from 'smol-toml';
import { isLowSpace, parseLowSpace, type LowSpace } from '../../shared/archive/low-space.ts';
import { isArchiveName, type ArchiveName } from '../../shared/archive/names.ts';
import { policyOf, retentionFields } from '../../shared/archive/retention-fields.ts';
import type { RetentionPolicy } from '../../shared/archive/retention.ts';
import { SparsebakError, asSparsebakError, systemCode } from '../../shared/errors.ts';
import * as z from '../../shared/zod.ts';
import { isLvName } from '../source/lvm-thin/lvm-names.ts';
import { isQubePattern } from '../qubes/patterns.ts';
import { parseDestination, type Destination } from '../link/destination.ts';
import { QUBES_CLIENTS, type QubesClient } from '../link/qubes-client.ts';
import { noticeFields, noticesOf, type NoticeConfig } from './notices.ts';

export const DEFAULT_CONFIG = '/etc/sparsebak/sparsebak.toml';
export const DEFAULT_STATE_DIR = '/var/lib/sparsebak';

const globs = z._default(z.array(z.string().check(z.minLength(1))), []);
const state = z._default(z.enum(['stopped', 'running']), 'running');
const selection = { volumes: globs, exclude: globs, volumes_from: z.optional(z.string().check(z.minLength(1))) };
const off = z._default(z.boolean(), false);
const absolute = z.string().check(z.startsWith('/', 'must be an absolute path'));

/** Names of LVM; only these are ever passed to its commands. */
const lvName = z.string().check(z.refine(isLvName, 'is not a valid LVM name'));

const pool = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('lvm-thin'),
    vgname: lvName,
    poolname: lvName,
    state,
    /** Percent of the pool's data or metadata above which no snapshot is made. */
    full_at: z._default(z.number().check(z.minimum(1), z.maximum(100)), 90),
    ...selection,
  }),
  z.strictObject({ type: z.literal('reflink'), path: absolute, follow_symlinks: off, state, ...selection }),
  z.strictObject({ type: z.literal('file'), path: absolute, follow_symlinks: off, live: off, ...selection }),
]);

const qubePatterns = z.array(
  z.string().check(z.refine(isQubePattern, 'must be the name of a qube, a glob, or "@include_in_backups"')),
);

const qubes = z.strictObject({
  include: z._default(qubePatterns, ['@include_in_backups']),
  exclude: z._default(qubePatterns, []),
  /** true: the home directory of dom0's user; or its path. */
  dom0_home: z._default(z.union([z.boolean(), absolute]), false),
  state,
  full_at: z._default(z.number().check(z.minimum(1), z.maximum(100)), 90),
  /** Where qubesd listens. */
  socket: z._default(absolute, '/var/run/qubesd.sock'),
});

const poolName = z.string().check(z.regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be 1 to 64 of A-Z a-z 0-9 . _ -'));

const archiveName = z.pipe(
  z.string(),
  z.custom<ArchiveName, string>(isArchiveName, 'must be 1 to 63 of a-z 0-9 . _ - and begin with a letter or digit'),
);

const schema = z.strictObject({
  destination: z.optional(z.string()),
  archive: z.optional(archiveName),
  archives: z._default(z.record(archiveName, z.strictObject({ destination: z.string() })), {}),
  /** The program that calls a service in a qube. */
  qubes_client: z._default(z.enum(QUBES_CLIENTS), 'qrexec-client'),
  state_dir: z._default(absolute, DEFAULT_STATE_DIR),
  initial: z._default(z.enum(['ask-full', 'full']), 'ask-full'),
  /** Bytes of unchanged content that are read again per volume and day. */
  reread_per_day: z._default(z.int().check(z.minimum(0)), 1024 ** 3),
  /** The retention policy. */
  retention: z._default(
    z.strictObject({ ...retentionFields, keep_tag: z._default(z.array(z.string().check(z.minLength(1))), []) }),
    { keep_tag: [] },
  ),
  /** What `send --autoprune` does. */
  autoprune: z._default(z.enum(['policy', 'space']), 'policy'),
  low_space: z._default(
    z.string().check(z.refine(isLowSpace, 'must be a share like "10%" or a size like "50GiB"')),
    '10%',
  ),
  pool: z._default(z.record(poolName, pool), {}),
  qubes: z.optional(qubes),
  ...noticeFields,
});

export type PoolConfig = z.infer<typeof pool> & { readonly name: string };

/** Which qubes are saved, and how. */
export interface QubesConfig {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** dom0's home directory is saved, too: that of dom0's user, or this one. */
  readonly dom0Home: boolean | string;
  readonly state: 'stopped' | 'running';
  /** Percent of a thin pool's data or metadata above which no snapshot is made. */
  readonly fullAt: number;
  readonly socket: string;
}

export interface ArchiveConfig {
  readonly name: ArchiveName;
  readonly destination: Destination;
  readonly qubesClient: QubesClient;
}

export interface Config {
  readonly file: string;
  readonly archives: readonly ArchiveConfig[];
  /** The archive for commands without `--archive`; undefined if several are configured and none is the default. */
  readonly defaultArchive: ArchiveName | undefined;
  readonly stateDir: string;
  readonly initial: 'ask-full' | 'full';
  readonly rereadPerDay: number;
  /** Empty if the configuration has none. */
  readonly retention: RetentionPolicy;
  readonly autoprune: 'policy' | 'space';
  readonly lowSpace: LowSpace;
  readonly pools: readonly PoolConfig[];
  /** Undefined: no qubes are saved as qubes. */
  readonly qubes: QubesConfig | undefined;
  readonly notices: NoticeConfig;
}

/** @throws `config` naming each wrong field */
export function readConfig(file: string): Config {
  const raw = parseToml(file);
  const checked = schema.safeParse(raw);
  if (!checked.success) {
    const fields = checked.error.issues.map((issue) => `  ${issue.path.join('.') || '(top level)'}: ${issue.message}`);
    throw new SparsebakError('config', `${file} is not valid:\n${fields.join('\n')}`, {
      hint: 'Correct these fields; docs/cli.md describes each.',
    });
  }
  const value = checked.data;
  return {
    file,
    archives: archivesOf(file, value),
    defaultArchive: value.archive,
    stateDir: value.state_dir,
    initial: value.initial,
    rereadPerDay: value.reread_per_day,
    retention: { ...policyOf(value.retention), tags: value.retention.keep_tag },
    autoprune: value.autoprune,
    lowSpace: parseLowSpace(value.low_space),
    pools: Object.entries(value.pool).map(([name, options]) => withVolumesFrom(file, { ...options, name })),
    qubes: value.qubes === undefined ? undefined : qubesOf(value.qubes),
    notices: noticesOf(value),
  };
}

function qubesOf({ include, exclude, dom0_home: dom0Home, state, full_at: fullAt, socket }: z.infer<typeof qubes>) {
  return { include, exclude, dom0Home, state, fullAt, socket };
}

function parseToml(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const missing = systemCode(error) === 'ENOENT';
    throw new SparsebakError('config', missing ? `there is no configuration at ${file}` : `${file} cannot be read`, {
      hint: missing
        ? 'Write one (see "sparsebak --help" for an example), or choose another with --config.'
        : 'Check its permissions.',
      cause: error,
    });
  }
  try {
    return parse(text);
  } catch (error) {
    throw new SparsebakError('config', `${file} is not TOML: ${error instanceof Error ? error.message.trim() : ''}`, {
      hint: 'Correct that line.',
      cause: error,
    });
  }
}

function archivesOf(file: string, value: z.infer<typeof schema>): ArchiveConfig[] {
  const archives = Object.entries(value.archives).map(([name, options]) => ({
    name: name as ArchiveName,
    destination: destinationOf(file, `archives.${name}.destination`, options.destination),
    qubesClient: value.qubes_client,
  }));
  if (value.destination !== undefined) {
    if (value.archive === undefined) {
      throw new SparsebakError('config', `${file} has a destination, but no archive`, {
        hint: 'Add a line archive = "NAME".',
      });
    }
    if (archives.some(({ name }) => name === value.archive)) {
      throw new SparsebakError('config', `${file} gives archive ${value.archive} two destinations`, {
        hint: `Keep either the top-level destination or [archives.${value.archive}].`,
      });
    }
    const destination = destinationOf(file, 'destination', value.destination);
    archives.unshift({ name: value.archive, destination, qubesClient: value.qubes_client });
  } else if (value.archive !== undefined && !archives.some(({ name }) => name === value.archive)) {
    throw new SparsebakError('config', `${file} says archive = "${value.archive}", but gives it no destination`, {
      hint: `Add destination = "…", or a section [archives.${value.archive}] with one.`,
    });
  }
  return archives;
}

function destinationOf(file: string, field: string, text: string): Destination {
  try {
    return parseDestination(text);
  } catch (caught) {
    const error = asSparsebakError(caught);
    throw new SparsebakError(error.code, `${file}: ${field}: ${error.message}`, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      cause: error,
    });
  }
}

/**
 * `volumes_from` is the list file of earlier sparsebak: one name per line; empty lines and `#` comments are ignored.
 */
function withVolumesFrom(file: string, pool: PoolConfig): PoolConfig {
  if (pool.volumes_from === undefined) return pool;
  const path = resolve(dirname(file), pool.volumes_from);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new SparsebakError('config', `${file}: pool.${pool.name}.volumes_from: ${path} cannot be read`, {
      hint: 'Create it with one volume name per line, or remove the setting.',
      cause: error,
    });
  }
  const names = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  return { ...pool, volumes: [...pool.volumes, ...names] };
}

/** The archive that a command works on. @throws `usage` if it is not configured or not unique */
export function chooseArchive(config: Config, name: string | undefined): ArchiveConfig {
  const wanted = name ?? config.defaultArchive ?? (config.archives.length === 1 ? config.archives[0]?.name : undefined);
  const known = config.archives.map((archive) => archive.name).join(', ');
  if (wanted === undefined) {
    throw known === ''
      ? new SparsebakError('config', `${config.file} names no archive`, {
          hint: 'Add destination = "…" and archive = "…".',
        })
      : new SparsebakError('usage', 'there are several archives', { hint: `Choose one with --archive: ${known}.` });
  }
  const found = config.archives.find((archive) => archive.name === wanted);
  if (found === undefined) {
    throw new SparsebakError('usage', `${config.file} has no archive "${wanted}"`, {
      hint: `It has: ${known || 'none'}.`,
    });
  }
  return found;
}
