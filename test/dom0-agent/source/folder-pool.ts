// A pool that is a folder, for tests: its volumes are changed through the file system.

import { spawnSync } from 'node:child_process';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { ByteRange, Source } from '../../../dom0-agent/source/source.ts';
import type { PoolUnderTest } from './conformance.ts';

/** Runs a program that must succeed. */
export function run(program: string, ...args: string[]): string {
  const path = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    encoding: 'utf8',
    env: { ...process.env, PATH: path },
  });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr}`);
  return stdout;
}

export class FolderPool implements PoolUnderTest {
  readonly source: Source;
  readonly folder: string;

  constructor(folder: string, source: Source) {
    this.folder = folder;
    this.source = source;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  create(name: string, size: number): void {
    mkdirSync(dirname(this.path(name)), { recursive: true });
    writeFileSync(this.path(name), '');
    truncateSync(this.path(name), size);
  }

  write(name: string, offset: number, bytes: Uint8Array): void {
    const fd = openSync(this.path(name), 'r+');
    for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
    closeSync(fd);
  }

  discard(name: string, { offset, length }: ByteRange): void {
    if (length > 0)
      run('fallocate', '--punch-hole', '--offset', String(offset), '--length', String(length), '--', this.path(name));
  }

  resize(name: string, size: number): void {
    truncateSync(this.path(name), size);
  }

  drop(name: string): void {
    rmSync(this.path(name));
  }

  read(name: string): Buffer {
    return readFileSync(this.path(name));
  }

  sync(name: string): void {
    const fd = openSync(this.path(name), 'r');
    fsyncSync(fd);
    closeSync(fd);
  }
}
