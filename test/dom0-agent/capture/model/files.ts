/** dom0's state folder on a machine that can lose power: what is visible, and what of it is durable. */
import { dirname } from 'node:path';
import type { StateFiles } from '../../../../dom0-agent/capture/state-files.ts';
import type { Machine } from './machine.ts';

export class ModelFiles implements StateFiles {
  readonly #machine: Machine;
  readonly #syncsFolders: boolean;
  readonly #visible = new Map<string, Buffer>();
  readonly #durable = new Map<string, Buffer>();

  /** @param syncsFolders false: forget the fsync of the parent folder, to see that the tests notice */
  constructor(machine: Machine, syncsFolders = true) {
    this.#machine = machine;
    this.#syncsFolders = syncsFolders;
  }

  read(path: string): Uint8Array | undefined {
    this.#machine.reading('read');
    const content = this.#visible.get(path);
    return content === undefined ? undefined : Buffer.from(content);
  }

  list(folder: string): string[] {
    this.#machine.reading('list');
    const inside = [...this.#visible.keys()].filter((path) => path.startsWith(`${folder}/`));
    return [...new Set(inside.map((path) => path.slice(folder.length + 1).split('/')[0] ?? ''))];
  }

  /** Folders are where files are. */
  makeFolder(): void {
    this.#machine.operation('mkdir');
  }

  removeFolder(): void {
    this.#machine.operation('rmdir');
  }

  async write(path: string, content: Uint8Array | string): Promise<void> {
    const bytes = Buffer.from(content);
    this.#machine.operation(
      'write',
      () => this.#visible.set(`${path}.new`, bytes.subarray(0, this.#machine.coin.int(bytes.length + 1))),
      () => this.#visible.delete(`${path}.new`) && this.#visible.set(path, bytes),
      () => this.#sync(path),
    );
  }

  remove(path: string): void {
    this.#machine.operation(
      'remove',
      () => this.#visible.delete(path),
      () => this.#sync(path),
    );
  }

  discard(path: string): void {
    this.#machine.operation('discard', () => this.#visible.delete(path));
  }

  /** After a power loss each name that was not synced shows its old content or its new one. */
  restart(): void {
    for (const path of new Set([...this.#visible.keys(), ...this.#durable.keys()])) {
      const from = this.#machine.coin.int(2) === 0 ? this.#visible : this.#durable;
      const content = from.get(path);
      if (content === undefined) this.#durable.delete(path);
      else this.#durable.set(path, content);
    }
    this.#visible.clear();
    for (const [path, content] of this.#durable) this.#visible.set(path, content);
  }

  /** Files whose visible content could still be lost, or come back. */
  undurable(): string[] {
    const paths = new Set([...this.#visible.keys(), ...this.#durable.keys()]);
    return [...paths].filter((path) => this.#visible.get(path) !== this.#durable.get(path));
  }

  paths(): string[] {
    return [...this.#visible.keys()];
  }

  #sync(path: string): void {
    if (!this.#syncsFolders) return;
    const folder = dirname(path);
    for (const [name] of this.#durable)
      if (dirname(name) === folder && !this.#visible.has(name)) this.#durable.delete(name);
    for (const [name, content] of this.#visible) if (dirname(name) === folder) this.#durable.set(name, content);
  }
}
