/** The content of a volume group, from one `lvs --reportformat json`. */
import { SparsebakError } from '../../../shared/errors.ts';
import * as z from '../../../shared/zod.ts';
import { lvm, type VolumeIdentity } from './lvm.ts';

const fields = [
  ...['vg_uuid', 'lv_uuid', 'lv_name', 'lv_attr', 'lv_size', 'lv_tags', 'lv_ancestors'],
  ...['pool_lv', 'thin_id', 'transaction_id', 'data_percent', 'metadata_percent', 'chunk_size', 'lv_metadata_size'],
] as const;

const row = z.object(
  Object.fromEntries(fields.map((field) => [field, z.string()])) as Record<(typeof fields)[number], z.ZodMiniString>,
);
const output = z.object({ report: z.array(z.object({ lv: z.array(row) })) });

export interface ThinVolume {
  readonly name: string;
  /** The logical volume's UUID. */
  readonly uuid: string;
  /** The device's number in its pool. */
  readonly thinId: number;
  /** The pool's transaction when the device was made: also stored with the device in the pool's metadata. */
  readonly transaction: number;
  /** Bytes. */
  readonly size: number;
  readonly tags: readonly string[];
  readonly active: boolean;
  readonly open: boolean;
  /** UUIDs of volumes outside the pool that are visible where nothing is mapped. */
  readonly external: string;
}

export interface PoolReport {
  readonly groupUuid: string;
  readonly poolUuid: string;
  /** Space in use, in percent. */
  readonly data: number;
  readonly metadata: number;
  /** Total sizes of both, in bytes. */
  readonly dataSize: number;
  readonly metadataSize: number;
  /** The block size, in bytes. */
  readonly block: number;
  /** Of everything in the volume group. */
  readonly names: ReadonlySet<string>;
  readonly volumes: ReadonlyMap<string, ThinVolume>;
}

export async function readReport(group: string, pool: string): Promise<PoolReport> {
  const options = ['--reportformat', 'json', '--units', 'b', '--nosuffix', '--options', fields.join(',')];
  return parseReport(await lvm('lvs', [...options, group]), group, pool);
}

export function parseReport(text: string, group: string, pool: string): PoolReport {
  const rows = parse(text);
  const self = rows.find((each) => each.lv_name === pool);
  if (self === undefined) throw new SparsebakError('source', `there is no pool ${pool} in the volume group ${group}`);
  if (!self.lv_attr.startsWith('t')) throw new SparsebakError('config', `${group}/${pool} is not a thin pool`);
  if (self.data_percent === '' || self.metadata_percent === '') {
    throw new SparsebakError('source', `the pool ${group}/${pool} is not active`, {
      hint: `Activate it: lvchange --activate y ${group}/${pool}`,
    });
  }
  const inPool = rows.filter((each) => each.pool_lv === pool && each.lv_attr.startsWith('V'));
  const uuids = new Map(rows.map((each) => [each.lv_name, each.lv_uuid]));
  const members = new Set(inPool.map((each) => each.lv_name));
  const volumes = inPool.map((each): ThinVolume => {
    const ancestors = each.lv_ancestors.split(',').filter((name) => name !== '' && !members.has(name));
    return {
      name: each.lv_name,
      uuid: each.lv_uuid,
      thinId: whole(each.thin_id),
      transaction: whole(each.transaction_id),
      size: whole(each.lv_size),
      tags: each.lv_tags.split(','),
      active: each.lv_attr[4] === 'a',
      open: each.lv_attr[5] === 'o',
      external: ancestors
        .map((name) => uuids.get(name) ?? name)
        .sort()
        .join(' '),
    };
  });
  return {
    groupUuid: self.vg_uuid,
    poolUuid: self.lv_uuid,
    data: Number(self.data_percent),
    metadata: Number(self.metadata_percent),
    dataSize: whole(self.lv_size),
    metadataSize: whole(self.lv_metadata_size),
    block: whole(self.chunk_size),
    names: new Set(rows.map((each) => each.lv_name)),
    volumes: new Map(volumes.map((volume) => [volume.name, volume])),
  };
}

export function identityOf({ name, uuid, thinId }: ThinVolume, { groupUuid }: PoolReport): VolumeIdentity {
  return { name, uuid, thinId, groupUuid };
}

function parse(text: string): z.infer<typeof row>[] {
  try {
    return output.parse(JSON.parse(text)).report.flatMap(({ lv }) => lv);
  } catch (error) {
    throw new SparsebakError('source', 'lvs gave an answer that this release does not understand', { cause: error });
  }
}

function whole(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(value)) throw new SparsebakError('source', `lvs: ${JSON.stringify(text)} is not a number`);
  return value;
}
