// A file system in memory that forgets: it knows what was made durable, and a power cut keeps that and any part of the
// rest. Stricter than real ones, which at least keep the order of what happens in one folder.

import { basename, dirname } from 'node:path';
import type { Disk, Entry, Kind, LockMode, OpenMode } from '../../../vm-receiver/store/files/disk/disk.ts';
import type { Space } from '../../../vm-receiver/store/store.ts';
import type { Random } from '../../fixtures/random.ts';

type Node =
  { readonly kind: 'file'; content: Buffer } | { readonly kind: 'folder'; readonly entries: Map<string, number> };
type State = Map<number, Node>;

const ROOT = 1;

/** Something that happened to the state, and the folders and files whose fsync makes it last. */
interface Operation {
  readonly folders: readonly number[];
  readonly apply: (state: State, torn: boolean) => void;
  durable: boolean;
}

interface OpenFile {
  readonly inode: number;
  at: number;
  lock: LockMode | undefined;
}

export type Survival = 'none' | 'all' | 'some';

export class MemoryDisk implements Disk {
  /** Called where a `replace` has its new content in place, and not durable yet: a test may end everything there. */
  within: () => void = () => undefined;
  /** Whether a process is seen to wait for any lock. */
  waitedFor = false;
  /** Names that a file may have. */
  maxLinks = Infinity;
  #now: State;
  #safe: State;
  #since: Operation[] = [];
  readonly #files = new Map<number, OpenFile>();
  #nextInode: number;
  #nextFd = 3;

  constructor(state: State = new Map([[ROOT, { kind: 'folder', entries: new Map() }]])) {
    this.#now = clone(state);
    this.#safe = clone(state);
    this.#nextInode = Math.max(...state.keys()) + 1;
  }

  /** The disk as it may be found after a power cut now. */
  afterPowerCut(survival: Survival, random: Random): MemoryDisk {
    const state = clone(this.#safe);
    for (const operation of this.#since) {
      const lasts = operation.durable || survival === 'all' || (survival === 'some' && random.once(2));
      if (lasts) operation.apply(state, !operation.durable && survival === 'some' && random.once(2));
    }
    return new MemoryDisk(state);
  }

  /** What its users had open is closed, and their locks are free: they were killed, and the power stayed on. */
  forgetUsers(): void {
    this.#files.clear();
  }

  #do(folders: readonly number[], apply: Operation['apply'], durable = false): void {
    apply(this.#now, false);
    this.#since.push({ folders, apply, durable });
  }

  #find(path: string): number | undefined {
    let inode = ROOT;
    for (const name of path.split('/')) {
      if (name === '' || name === '.') continue;
      const node = this.#now.get(inode);
      if (node?.kind !== 'folder') return undefined;
      const next = node.entries.get(name);
      if (next === undefined) return undefined;
      inode = next;
    }
    return inode;
  }

  #folder(path: string): { inode: number; entries: Map<string, number> } {
    const inode = this.#find(path);
    if (inode === undefined) throw failure('ENOENT');
    const node = this.#now.get(inode);
    if (node?.kind !== 'folder') throw failure('ENOTDIR');
    return { inode, entries: node.entries };
  }

  #make(path: string, kind: Kind): number {
    const { inode: folder, entries } = this.#folder(dirname(path));
    const name = basename(path);
    if (entries.has(name)) throw failure('EEXIST');
    const inode = this.#nextInode++;
    this.#do([folder], (state) => {
      // What was written to it may have lasted where its name did not, and the other way round.
      if (!state.has(inode)) state.set(inode, kind === 'folder' ? emptyFolder() : emptyFile());
      entriesOf(state, folder)?.set(name, inode);
    });
    return inode;
  }

  open(path: string, mode: OpenMode): number {
    let inode = this.#find(path);
    if (mode === 'new' || (mode === 'append' && inode === undefined)) inode = this.#make(path, 'file');
    if (inode === undefined) throw failure('ENOENT');
    if ((mode === 'folder') !== (this.#now.get(inode)?.kind === 'folder')) throw failure('ENOTDIR');
    const fd = this.#nextFd++;
    this.#files.set(fd, { inode, at: 0, lock: undefined });
    return fd;
  }

  #opened(fd: number): OpenFile {
    const file = this.#files.get(fd);
    if (file === undefined) throw failure('EBADF');
    return file;
  }

  write(fd: number, bytes: Uint8Array, from: number): number {
    const { inode } = this.#opened(fd);
    const added = Buffer.from(bytes.subarray(from));
    this.#do([inode], (state, torn) => {
      const node = state.get(inode) ?? emptyFile();
      state.set(inode, node);
      const some = torn ? added.subarray(0, added.length >> 1) : added;
      if (node.kind === 'file') node.content = Buffer.concat([node.content, some]);
    });
    return added.length;
  }

  /** What a store never does: the file rots. */
  overwrite(fd: number, content: Uint8Array): void {
    const node = this.#now.get(this.#opened(fd).inode);
    if (node?.kind === 'file') node.content = Buffer.from(content);
  }

  read(fd: number, target: Uint8Array, offset: number, length: number): number {
    const file = this.#opened(fd);
    const node = this.#now.get(file.inode);
    if (node?.kind !== 'file') throw failure('EISDIR');
    const piece = node.content.subarray(file.at, file.at + length);
    target.set(piece, offset);
    file.at += piece.length;
    return piece.length;
  }

  close(fd: number): void {
    this.#opened(fd);
    this.#files.delete(fd);
  }

  /** Files that are open still: after everything was closed there must be none. */
  get openFiles(): number {
    return this.#files.size;
  }

  entryOf(fd: number): Entry {
    return this.#entry(this.#opened(fd).inode);
  }

  entryAt(path: string): Entry | undefined {
    const inode = this.#find(path);
    return inode === undefined ? undefined : this.#entry(inode);
  }

  #entry(inode: number): Entry {
    const state = this.#now;
    const node = state.get(inode);
    const size = node?.kind === 'file' ? node.content.length : 0;
    return {
      kind: node?.kind ?? 'other',
      size,
      diskBytes: size,
      device: 1n,
      inode: BigInt(inode),
      // Few ask for it, and it costs.
      get links() {
        return countLinks(state, inode);
      },
    };
  }

  kindOf(path: string): Kind | undefined {
    return this.entryAt(path)?.kind;
  }

  makeFolder(path: string): void {
    this.#make(path, 'folder');
  }

  list(path: string): string[] {
    return [...this.#folder(path).entries.keys()];
  }

  rename(from: string, to: string): void {
    const source = this.#folder(dirname(from));
    const target = this.#folder(dirname(to));
    const inode = source.entries.get(basename(from));
    if (inode === undefined) throw failure('ENOENT');
    const there = this.#find(to);
    if (there !== undefined && (entriesOf(this.#now, there)?.size ?? 0) > 0) throw failure('ENOTEMPTY');
    this.#do([source.inode, target.inode], (state) => {
      entriesOf(state, source.inode)?.delete(basename(from));
      entriesOf(state, target.inode)?.set(basename(to), inode);
    });
  }

  link(from: string, to: string): void {
    const inode = this.#find(from);
    const target = this.#folder(dirname(to));
    if (inode === undefined) throw failure('ENOENT');
    if (target.entries.has(basename(to))) throw failure('EEXIST');
    if (countLinks(this.#now, inode) >= this.maxLinks) throw failure('EMLINK');
    this.#do([target.inode], (state) => entriesOf(state, target.inode)?.set(basename(to), inode));
  }

  remove(path: string): void {
    if (this.#find(path) !== undefined) this.#unlink(path);
  }

  #unlink(path: string): void {
    const { inode } = this.#folder(dirname(path));
    this.#do([inode], (state) => entriesOf(state, inode)?.delete(basename(path)));
  }

  async removeTree(path: string): Promise<void> {
    if (this.kindOf(path) === 'folder') {
      for (const name of this.list(path)) await this.removeTree(`${path}/${name}`);
    }
    this.remove(path);
  }

  space(): Space {
    return { totalBytes: 2 ** 41, freeBytes: 2 ** 40, freeInodes: undefined };
  }

  syncFolder(path: string): void {
    const { inode } = this.#folder(path);
    for (const operation of this.#since) if (operation.folders.includes(inode)) operation.durable = true;
  }

  replace(path: string, content: Uint8Array | string): void {
    const { inode: folder } = this.#folder(dirname(path));
    const inode = this.#nextInode++;
    const bytes = Buffer.from(content);
    const apply = (state: State) => {
      state.set(inode, { kind: 'file', content: bytes });
      entriesOf(state, folder)?.set(basename(path), inode);
    };
    this.#do([folder], apply);
    this.within();
    this.syncFolder(dirname(path));
  }

  async syncEach(paths: readonly string[]): Promise<void> {
    for (const path of paths) {
      const inode = this.#find(path);
      if (inode === undefined) throw failure('ENOENT');
      for (const operation of this.#since) if (operation.folders.includes(inode)) operation.durable = true;
    }
  }

  async syncFileSystem(): Promise<void> {
    this.#safe = clone(this.#now);
    this.#since = [];
  }

  async lock(fd: number, mode: LockMode): Promise<boolean> {
    const file = this.#opened(fd);
    const others = [...this.#files.values()].filter((other) => other !== file && other.inode === file.inode);
    if (others.some(({ lock }) => lock === 'alone' || (lock === 'shared' && mode === 'alone'))) return false;
    file.lock = mode;
    return true;
  }

  isWaitedFor(): boolean {
    return this.waitedFor;
  }
}

function emptyFolder(): Node {
  return { kind: 'folder', entries: new Map() };
}

function emptyFile(): Node {
  return { kind: 'file', content: Buffer.alloc(0) };
}

function entriesOf(state: State, inode: number): Map<string, number> | undefined {
  const node = state.get(inode);
  return node?.kind === 'folder' ? node.entries : undefined;
}

function countLinks(state: State, inode: number): number {
  let count = 0;
  for (const node of state.values()) {
    if (node.kind === 'folder') for (const entry of node.entries.values()) if (entry === inode) count += 1;
  }
  return count;
}

function clone(state: State): State {
  const copy: State = new Map();
  for (const [inode, node] of state) {
    if (node.kind === 'folder') copy.set(inode, { kind: 'folder', entries: new Map(node.entries) });
    else copy.set(inode, { kind: 'file', content: node.content });
  }
  return copy;
}

function failure(code: string): Error {
  return Object.assign(new Error(`${code}: in memory`), { code });
}
