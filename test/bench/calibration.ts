/**
 * What this machine does right now, so that two runs can be compared: on one core, with the data of the measured image.
 * Not the code of .ci/speed.mjs, which is a single figure for the limits of tests and has to stay as it is for them.
 */
import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { closeSync, openSync, readSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { constants, zstdCompressSync } from 'node:zlib';
import { type Ground } from './ground.ts';
import { measured } from './measured.ts';

/** In MB/s (10^6 bytes a second). */
export interface Calibration {
  readonly zstd1: number;
  readonly blake2b: number;
  readonly sha256: number;
  readonly aes256gcm: number;
  /** Between two processes, in pieces of 64 KiB. */
  readonly pipe: number;
  /** Written one after another into a new file, with fsync. */
  readonly disk: number;
}

const BLOCK = 256 * 1024;
const BLOCKS = 64;
const MIB = 2 ** 20;
/** Milliseconds for each. */
const PATIENCE = 400;
const PIPE_MIB = 1024;
const DISK_MIB = 256;

export async function calibrate(ground: Ground): Promise<Calibration> {
  const blocks = sampleOf(ground.image);
  return {
    zstd1: speedOf(blocks, (block) => zstdCompressSync(block, { params: { [constants.ZSTD_c_compressionLevel]: 1 } })),
    blake2b: speedOf(blocks, (block) => createHash('blake2b512').update(block).digest()),
    sha256: speedOf(blocks, (block) => createHash('sha256').update(block).digest()),
    aes256gcm: speedOf(blocks, seal),
    pipe: await pipeSpeed(),
    disk: await diskSpeed(ground),
  };
}

/** Whether SHA-256 is the hash to choose on this processor, where a tool has both. */
export function isSha256Faster(): boolean {
  const blocks = [randomBytes(BLOCK)];
  const hash = (name: string) => speedOf(blocks, (block) => createHash(name).update(block).digest(), PATIENCE / 8);
  return hash('sha256') > hash('blake2b512');
}

function seal(block: Uint8Array): void {
  const cipher = createCipheriv('aes-256-gcm', Buffer.alloc(32), Buffer.alloc(12));
  cipher.update(block);
  cipher.final();
}

function speedOf(blocks: readonly Uint8Array[], work: (block: Uint8Array) => void, patience = PATIENCE): number {
  const began = performance.now();
  let bytes = 0;
  for (let at = 0; performance.now() - began < patience; at++) {
    const block = blocks[at % blocks.length]!;
    work(block);
    bytes += block.length;
  }
  return bytes / 1000 / (performance.now() - began);
}

/** Blocks from all over the image, without those that are all zeros. */
function sampleOf(image: string): Uint8Array[] {
  const { size } = statSync(image);
  const fd = openSync(image, 'r');
  try {
    const places = Array.from({ length: BLOCKS * 2 }, (_, at) => Math.floor(((size - BLOCK) / (BLOCKS * 2)) * at));
    const blocks = places.map((place) => {
      const block = Buffer.alloc(BLOCK);
      readSync(fd, block, 0, BLOCK, place);
      return block;
    });
    const data = blocks.filter((block) => block.some((byte) => byte !== 0));
    if (data.length === 0) throw new Error(`${image} has no data to calibrate with`);
    return data.slice(0, BLOCKS);
  } finally {
    closeSync(fd);
  }
}

async function pipeSpeed(): Promise<number> {
  const [writes, reads] = [`if=/dev/zero count=${PIPE_MIB * 16}`, 'of=/dev/null'];
  const both = `dd ${writes} bs=64K status=none | dd ${reads} bs=64K status=none`;
  const { seconds } = await measured('sh', ['-c', both]);
  return (PIPE_MIB * MIB) / 1e6 / seconds;
}

async function diskSpeed(ground: Ground): Promise<number> {
  const copy = join(ground.folder, 'calibration');
  const count = Math.min(DISK_MIB, Math.floor(statSync(ground.image).size / MIB));
  const args = [`if=${ground.image}`, `of=${copy}`, 'bs=1M', `count=${count}`, 'conv=fsync', 'status=none'];
  const { seconds } = await measured('dd', args);
  rmSync(copy);
  return (count * MIB) / 1e6 / seconds;
}
