/**
 * The receiver's configuration: the VM's own rules for what it accepts and from whom. The first existing file is used.
 */
import { readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { TomlError, parse } from 'smol-toml';
import { isLowSpace, isSize, parseLowSpace, parseSize, type LowSpace } from '../../shared/archive/low-space.ts';
import { isArchiveName, type ArchiveName } from '../../shared/archive/names.ts';
import { policyOf, retentionFields } from '../../shared/archive/retention-fields.ts';
import { DURATION, parseDuration } from '../../shared/archive/retention-values.ts';
import type { RetentionPolicy } from '../../shared/archive/retention.ts';
import { SparsebakError, systemCode } from '../../shared/errors.ts';
import { escapeText } from '../../shared/text.ts';
import * as z from '../../shared/zod.ts';
import { KEEPING } from '../store/default-keeping.ts';
import type { Keeping, Rules } from '../store/store.ts';

const FILES = ['/rw/config/sparsebak/receiver.toml', '/etc/sparsebak/receiver.toml'];

/** With less free space nothing is accepted, so that the disk can still be pruned. */
const MIN_FREE_BYTES = 64 * 2 ** 20;
const MIN_FREE_INODES = 1000;

const count = z.int().check(z.minimum(0), z.maximum(Number.MAX_SAFE_INTEGER));
const archive = z.custom<ArchiveName>(
  (value) => typeof value === 'string' && isArchiveName(value),
  'not an archive’s name',
);

const schema = z.strictObject({
  root: z.string().check(z.refine(isAbsolute, 'not an absolute path')),
  archives: z.optional(z.array(archive)),
  require_mount: z._default(z.boolean(), false),
  min_free_bytes: z._default(count, MIN_FREE_BYTES),
  min_free_inodes: z._default(count, MIN_FREE_INODES),
  callers: z._default(z.array(z.string().check(z.minLength(1))), ['dom0']),
  min_keep: z._default(z.int().check(z.minimum(1), z.maximum(999_999)), 1),
  allow_delete: z._default(z.boolean(), true),
  autoprune: z._default(z.enum(['policy', 'space']), 'policy'),
  low_space: z._default(
    z.string().check(z.refine(isLowSpace, 'must be a share or a size, like "10%" or "50GiB"')),
    '10%',
  ),
  scrub_every: z._default(z.string().check(z.regex(DURATION, 'must be a number and m, h, d or w, like "30d"')), '30d'),
  kept_catalogues: z._default(z.int().check(z.minimum(1), z.maximum(10_000)), KEEPING.catalogues),
  kept_days: z._default(z.int().check(z.minimum(0), z.maximum(36_500)), KEEPING.days),
  kept_size: z._default(z.string().check(z.refine(isSize, 'must be a size, like "1GiB"')), '1GiB'),
  retention: z._default(z.strictObject(retentionFields), {}),
  metrics_file: z.optional(z.string().check(z.refine(isAbsolute, 'not an absolute path'))),
});

export interface Settings {
  readonly root: string;
  /** Archives that may be used; undefined for any. */
  readonly archives: readonly ArchiveName[] | undefined;
  readonly requireMount: boolean;
  readonly minFreeBytes: number;
  readonly minFreeInodes: number;
  /** Qubes that may call, for calls from a qube. */
  readonly callers: readonly string[];
  readonly rules: Rules;
  readonly keeping: Keeping;
  readonly retention: RetentionPolicy;
  /** When `prune` removes sessions that the policy does not keep: always, or only while the disk runs low. */
  readonly autoprune: 'policy' | 'space';
  readonly lowSpace: LowSpace;
  /** Milliseconds in which `scrub` reads everything once. */
  readonly scrubEvery: number;
  /** For Prometheus' node exporter. */
  readonly metricsFile: string | undefined;
}

export interface Given {
  readonly root: string | undefined;
  readonly archive: ArchiveName | undefined;
  readonly config: string | undefined;
}

/** The command line takes precedence. Throws `config`, with every wrong field. */
export function loadSettings({ root, archive, config }: Given): Settings {
  const file = readConfig(root === undefined ? FILES : [], config);
  if (file === undefined && root === undefined) {
    throw new SparsebakError('config', `there is no configuration (${FILES.join(', ')})`, {
      hint: 'Create one with root = "/path/of/the/backups", or give --root.',
    });
  }
  const fields = check(file?.name ?? '', { ...file?.fields, ...(root === undefined ? {} : { root }) });
  const allowed = fields.archives;
  if (archive !== undefined && allowed !== undefined && !allowed.includes(archive)) {
    throw new SparsebakError('refused', `archive ${archive} is not among archives in ${file?.name ?? ''}`);
  }
  return {
    root: fields.root,
    archives: archive === undefined ? allowed : [archive],
    requireMount: fields.require_mount,
    minFreeBytes: fields.min_free_bytes,
    minFreeInodes: fields.min_free_inodes,
    callers: fields.callers,
    rules: { minKeep: fields.min_keep, allowDelete: fields.allow_delete },
    keeping: { catalogues: fields.kept_catalogues, days: fields.kept_days, bytes: parseSize(fields.kept_size) },
    retention: policyOf(fields.retention),
    autoprune: fields.autoprune,
    lowSpace: parseLowSpace(fields.low_space),
    scrubEvery: parseDuration(fields.scrub_every),
    metricsFile: fields.metrics_file,
  };
}

interface ConfigFile {
  readonly name: string;
  readonly fields: Record<string, unknown>;
}

/** A file given with --config must exist; the usual ones need not. */
function readConfig(usual: readonly string[], asked: string | undefined): ConfigFile | undefined {
  for (const name of asked === undefined ? usual : [asked]) {
    let text: string;
    try {
      text = readFileSync(name, 'utf8');
    } catch (error) {
      if (asked === undefined && systemCode(error) === 'ENOENT') continue;
      throw new SparsebakError('config', `cannot read ${name}: ${systemCode(error) ?? 'failed'}`, { cause: error });
    }
    try {
      return { name, fields: parse(text) };
    } catch (error) {
      const where = error instanceof TomlError ? `, line ${error.line}` : '';
      throw new SparsebakError('config', `${name} is not TOML${where}`, { cause: error });
    }
  }
  return undefined;
}

function check(file: string, fields: Record<string, unknown>): z.infer<typeof schema> {
  const result = schema.safeParse(fields);
  if (result.success) return result.data;
  const wrong = result.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => `${escapeText(key, 64)}: there is no such field`)
      : [`${issue.path.join('.')}: ${issue.message}`],
  );
  throw new SparsebakError('config', `${file === '' ? 'wrong options' : file}: ${wrong.join('; ')}`);
}
