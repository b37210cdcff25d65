/**
 * What this computer knows of a restore of one qube: written before each step that cannot be repeated blindly, so that
 * the next run of the same command continues a killed one, and never writes over a qube that is not its own.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolderDurably, removeDurably, writeDurably } from '../../../../shared/durable.ts';
import { SparsebakError, asSparsebakError, systemCode } from '../../../../shared/errors.ts';
import * as z from '../../../../shared/zod.ts';

const text = z.string();

const volume = z.strictObject({
  pool: text,
  /** Its name in the pool's source. */
  name: text,
  session: text,
  /** The name of the restored volume until it takes the place of the other. */
  staged: text,
  /** The name of the volume that it replaces, from then on. */
  kept: text,
  /** `empty`: nothing of it is complete; `staged`: all of it is proven; `done`: it is in its place. */
  state: z.enum(['empty', 'staged', 'done']),
});

const content = {
  v: z.literal(1),
  kind: z.enum(['create', 'replace', 'undo']),
  /** Its name in the archive. */
  qube: text,
  /** Its name here. */
  name: text,
  /** Null: it is being created. */
  uuid: z.nullable(text),
  class: text,
  template: z.nullable(text),
  label: text,
  /** The newest session of its settings and volumes: each is as it was then. */
  session: text,
  /** `exchange`: all volumes are staged, and take their places, all of them. */
  phase: z.enum(['create', 'volumes', 'exchange', 'settings', 'done']),
  volumes: z.record(text, volume),
  /** Of a replace and its undo: the settings before it, as a settings document. */
  before: z.nullable(z.unknown()),
  /** Of an undo: the settings that it puts back. */
  after: z.nullable(z.unknown()),
};

const record = z.strictObject({
  ...content,
  /** Of a replace: the replacement before it, or its undo, which can be undone again if this one is given up. */
  earlier: z.optional(z.nullable(z.strictObject({ ...content, earlier: z.optional(z.null()) }))),
});

export type RestoreRecord = z.infer<typeof record>;
export type VolumeRecord = z.infer<typeof volume>;

export class RestoreRecords {
  readonly folder: string;

  constructor(stateDir: string) {
    this.folder = join(stateDir, 'restores');
  }

  /** @throws `failed` if it cannot be read */
  read(name: string): RestoreRecord | undefined {
    const file = this.#file(name);
    try {
      return record.parse(JSON.parse(readFileSync(file, 'utf8')));
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw new SparsebakError('failed', `the record of the restore of ${name} cannot be read: ${file}`, {
        hint: 'Examine the qube and its volumes by hand; then move that file away.',
        cause: error,
      });
    }
  }

  all(): RestoreRecord[] {
    let files: string[];
    try {
      files = readdirSync(this.folder);
    } catch {
      return [];
    }
    const names = files.filter((file) => file.endsWith('.json')).map((file) => file.slice(0, -'.json'.length));
    return names.sort().flatMap((name) => this.read(name) ?? []);
  }

  write(content: RestoreRecord): void {
    try {
      makeFolderDurably(this.folder);
      writeDurably(this.#file(content.name), `${JSON.stringify(content)}\n`);
    } catch (error) {
      throw asSparsebakError(error, 'io', `the record of the restore of ${content.name}`);
    }
  }

  remove(name: string): void {
    removeDurably(this.#file(name));
  }

  #file(name: string): string {
    return join(this.folder, `${name}.json`);
  }
}
