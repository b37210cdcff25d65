// The thin tools in both versions that are about: this machine's, and Debian 13's unpacked beside it. And metadata for
// them to read, made of a plain description: no kernel is needed for that.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, closeSync, ftruncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { debianPackages } from '../../../guest/image.ts';

export interface ThinTools {
  readonly version: string;
  /** Or why there are none. */
  readonly skip: string | false;
  run(program: string, ...args: string[]): { status: number | null; stdout: string };
}

const PATH = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;

function start(program: string, args: readonly string[]): { status: number | null; stdout: string } {
  const options = { encoding: 'latin1', env: { ...process.env, PATH }, maxBuffer: 1024 ** 3 } as const;
  const { status, stdout } = spawnSync(program, args, options) as { status: number | null; stdout: string | null };
  return { status, stdout: stdout ?? '' };
}

export const installedTools: ThinTools = {
  version: "this machine's thin tools",
  skip: start('thin_delta', ['--version']).status === 0 ? false : 'machine: no thin_delta',
  run: (program, ...args) => start(program, args),
};

/** @param scratch a folder to unpack to */
export async function newerTools(scratch: string): Promise<ThinTools> {
  const version = 'the thin tools 1.x';
  const missing = (reason: string): ThinTools => ({
    version,
    skip: `machine: ${reason}`,
    run: () => start('false', []),
  });
  if (start('dpkg-deb', ['--version']).status !== 0) return missing('no dpkg-deb');
  const deb = await debianPackages.newerThinTools();
  if (deb === undefined) return missing("the package of Debian 13's thin tools cannot be had");
  start('dpkg-deb', ['-x', deb, scratch]);
  const tools = join(scratch, 'usr/sbin/pdata_tools');
  if (!existsSync(tools) || start(tools, ['thin_delta', '--version']).status !== 0)
    return missing('they do not run here');
  return { version, skip: false, run: (program, ...args) => start(tools, [program, ...args]) };
}

/** Where each block of a device lies in the pool's data. */
export type Mapping = ReadonlyMap<number, number>;

/** A metadata device, as a file, with these devices from number 1 on. */
export function metadataFile(scratch: string, blockSectors: number, devices: readonly Mapping[]): string {
  const folder = mkdtempSync(join(scratch, 'metadata-'));
  const file = join(folder, 'metadata');
  const description = join(folder, 'description.xml');
  const attributes = `uuid="" time="1" transaction="${devices.length}" flags="0" version="2"`;
  const lines = [`<superblock ${attributes} data_block_size="${blockSectors}" nr_data_blocks="1000000">`];
  for (const [index, mapping] of devices.entries()) {
    const counts = `mapped_blocks="${mapping.size}" transaction="${index}"`;
    lines.push(`<device dev_id="${index + 1}" ${counts} creation_time="0" snap_time="0">`);
    for (const [block, data] of [...mapping].sort(([a], [b]) => a - b)) {
      lines.push(`<single_mapping origin_block="${block}" data_block="${data}" time="0"/>`);
    }
    lines.push('</device>');
  }
  writeFileSync(description, [...lines, '</superblock>', ''].join('\n'));
  const fd = openSync(file, 'wx');
  ftruncateSync(fd, 16 * 1024 * 1024);
  closeSync(fd);
  const { status, stdout } = start('thin_restore', ['-i', description, '-o', file]);
  if (status !== 0) throw new Error(`thin_restore: ${stdout}`);
  return file;
}
