/**
 * The settings of the selected qubes, and dom0's home directory: content that has no disk image. A snapshot is a file
 * in the state folder, written when the volumes are captured and removed when it was sent.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolderDurably, writeDurably } from '../../shared/durable.ts';
import { asSparsebakError, SparsebakError } from '../../shared/errors.ts';
import { packFolder } from '../process/pack-folder.ts';
import type {
  Delta,
  FoundVolumes,
  LeftOut,
  Mapped,
  OpenSnapshot,
  Outcome,
  PatternRules,
  RunningState,
  SnapshotRef,
  Source,
} from '../source/source.ts';
import type { Target } from '../source/target.ts';
import { archiveName, DOM0_HOME, parseArchiveName, SETTINGS, UNFINISHED } from './names.ts';
import { selectsQube } from './patterns.ts';
import { asking, type QubesHost } from './qubes-host.ts';
import { readSettings, surroundings } from './read-settings.ts';
import { encodeSettings } from './settings.ts';
import { matchesVolume } from './volumes-source.ts';

export interface DocumentsOptions {
  readonly stateDir: string;
  /** dom0's home directory; undefined: it is not saved. */
  readonly home: string | undefined;
  /** Folders that are not part of the home directory's content: sparsebak's own. */
  readonly leftOut: readonly string[];
  readonly warn: (message: string) => void;
}

const FILE = /^([0-9a-f]{32})\.document$/;

export class DocumentsSource implements Source {
  readonly kind = 'documents';
  readonly frozen = false;
  incomplete: readonly LeftOut[] = [];
  readonly #host: QubesHost;
  readonly #options: DocumentsOptions;
  readonly #folder: string;

  constructor(host: QubesHost, options: DocumentsOptions) {
    this.#host = host;
    this.#options = options;
    this.#folder = join(options.stateDir, 'documents');
  }

  readonly patterns: PatternRules = {
    matches: (pattern, volume) =>
      volume === DOM0_HOME
        ? this.#options.home !== undefined
        : matchesVolume(this.#host, pattern, volume, (each) => each === SETTINGS),
    unmatched: (patterns) => {
      const qubes = [...(this.#host.known?.values() ?? [])];
      return patterns.filter((pattern) => !qubes.some((qube) => selectsQube(pattern, qube)));
    },
  };

  async list(patterns: readonly string[], excludes: readonly string[]): Promise<FoundVolumes> {
    const named = new Set(patterns.filter((pattern) => pattern.includes(':')));
    const isAll = named.size < patterns.length;
    const selected = await this.#host.selected(
      patterns.filter((pattern) => !named.has(pattern)),
      excludes,
    );
    const names = new Set(selected.map(({ name }) => archiveName(name, SETTINGS)));
    for (const name of named) {
      const { qube = '', volume } = parseArchiveName(name) ?? {};
      if (volume === SETTINGS && this.#host.known?.has(qube) === true) names.add(name);
    }
    if (this.#options.home !== undefined && (isAll || named.has(DOM0_HOME))) names.add(DOM0_HOME);
    const unfinished = new Set([...names].filter((name) => this.#isUnfinished(name)));
    return {
      volumes: [...names].filter((name) => !unfinished.has(name)).sort(),
      leftOut: [...unfinished].sort().map((name) => ({ name, ...UNFINISHED })),
    };
  }

  #isUnfinished(name: string): boolean {
    return this.#host.known?.get(parseArchiveName(name)?.qube ?? '')?.unfinished === true;
  }

  async snapshot(volumes: readonly string[]): Promise<Map<string, Outcome<SnapshotRef>>> {
    makeFolderDurably(this.#folder);
    const around = asking(() => surroundings(this.#host.qubesd));
    around.catch(() => undefined);
    const known = await this.#host.look();
    const shown: { readonly volume: string; readonly unavailable: readonly string[] }[] = [];
    const reasons = new Map<string, string>();
    const refused = (volume: string) => (part: string, reason: string) => {
      reasons.set(`${volume} (${part})`, reason);
    };
    const outcomes = volumes.map(async (volume): Promise<[string, Outcome<SnapshotRef>]> => {
      const id = randomBytes(16).toString('hex');
      const path = this.#fileOf(id);
      try {
        if (volume === DOM0_HOME) return [volume, { ok: true, value: await this.#packHome(id) }];
        const qube = known.get(parseArchiveName(volume)?.qube ?? '');
        if (qube === undefined) throw new SparsebakError('not-found', `${volume}: the qube was removed`);
        const surrounding = await around;
        const settings = await asking(() => readSettings(this.#host.qubesd, qube, surrounding, refused(volume)));
        shown.push({ volume, unavailable: settings.unavailable });
        writeDurably(path, encodeSettings(settings));
        return [volume, { ok: true, value: this.#describe(id, qube.state === 'Halted' ? 'stopped' : 'running') }];
      } catch (error) {
        rmSync(path, { force: true });
        return [volume, { ok: false, error: asSparsebakError(error, 'source', volume) }];
      }
    });
    const made = new Map(await Promise.all(outcomes));
    this.incomplete = shown.flatMap(({ volume, unavailable }) =>
      unavailable.flatMap((part): LeftOut[] => {
        const name = `${volume} (${part})`;
        const reason = reasons.get(name);
        // What no qube has, this release of Qubes does not have.
        if (reason === undefined && shown.every((each) => each.unavailable.includes(part))) return [];
        return [{ name, reason: reason ?? 'qubesd does not show it', hint: 'See "journalctl -u qubesd".' }];
      }),
    );
    return made;
  }

  async #packHome(id: string): Promise<SnapshotRef> {
    const { home = '', leftOut, warn } = this.#options;
    const changed = await packFolder(home, this.#fileOf(id), leftOut);
    if (changed.length > 0) {
      const more = changed.length > 3 ? ` and ${changed.length - 3} more` : '';
      warn(`${home}: changed while it was read: ${changed.slice(0, 3).join(', ')}${more}`);
    }
    return this.#describe(id, 'running');
  }

  #describe(id: string, state: RunningState): SnapshotRef {
    const { size } = statSync(this.#fileOf(id));
    return { id, time: Date.now(), size, state, binding: { document: id } };
  }

  #fileOf(id: string): string {
    return join(this.#folder, `${id}.document`);
  }

  exists({ id, size }: SnapshotRef): Promise<boolean> {
    return Promise.resolve(statSync(this.#fileOf(id), { throwIfNoEntry: false })?.size === size);
  }

  delta(): Promise<Delta> {
    return Promise.resolve({ kind: 'unknown', reason: 'settings are compared as a whole' });
  }

  mapped(): Promise<Mapped> {
    return Promise.resolve({ kind: 'all' });
  }

  async open(snapshot: SnapshotRef): Promise<OpenSnapshot> {
    if (!(await this.exists(snapshot))) throw new SparsebakError('source', `the snapshot ${snapshot.id} is gone`);
    return { path: this.#fileOf(snapshot.id), size: snapshot.size, close: () => Promise.resolve() };
  }

  remove(snapshots: readonly SnapshotRef[]): Promise<void> {
    for (const { id } of snapshots) rmSync(this.#fileOf(id), { force: true });
    return Promise.resolve();
  }

  newVolume(): Promise<Target> {
    return Promise.reject(
      new SparsebakError('usage', "a qube's settings and dom0's home are no disk images that could be replaced", {
        hint: 'Restore settings with "sparsebak qube restore", or the document itself with --to PATH.',
      }),
    );
  }

  leftovers(): Promise<SnapshotRef[]> {
    const names = statSync(this.#folder, { throwIfNoEntry: false }) === undefined ? [] : readdirSync(this.#folder);
    const ids = names.flatMap((name) => FILE.exec(name)?.[1] ?? []);
    return Promise.resolve(ids.map((id) => this.#describe(id, 'stopped')));
  }
}
