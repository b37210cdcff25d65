/** The qubes in an archive: which volumes each has, and at which sessions. */
import { isSessionName, type SessionName } from '../../../shared/archive/names.ts';
import { SparsebakError } from '../../../shared/errors.ts';
import type { CatalogueVolume } from '../../content/catalogue.ts';
import { ChunkOpener } from '../../content/chunk.ts';
import { newestFault, noSessionName } from '../../proven-archive/find-session.ts';
import type { OpenArchive } from '../../proven-archive/open-archive.ts';
import type { Listing, ProvenSession } from '../../proven-archive/proven-reader.ts';
import { namingVolume } from '../../proven-archive/volume-error.ts';
import { isIntegrity } from '../../../shared/errors.ts';
import { DOM0_HOME, parseArchiveName, SETTINGS } from '../../qubes/names.ts';
import { decodeSettings, MAX_SETTINGS, type Settings } from '../../qubes/settings.ts';
import { readSmall } from '../../reading/read-small.ts';

/** One of a qube's volumes, or its settings. */
export interface ArchivedPart {
  readonly entry: CatalogueVolume;
  /** Oldest first. */
  readonly sessions: readonly SessionName[];
}

export interface ArchivedQube {
  readonly name: string;
  /** By the volume's name in Qubes. */
  readonly volumes: ReadonlyMap<string, ArchivedPart>;
  /** undefined: only volumes were saved. */
  readonly settings: ArchivedPart | undefined;
}

export interface ArchivedQubes {
  readonly qubes: ReadonlyMap<string, ArchivedQube>;
  readonly dom0Home: ArchivedPart | undefined;
}

export class QubeArchive {
  readonly open: OpenArchive;
  readonly listing: Listing;
  readonly found: ArchivedQubes;
  readonly #opener: ChunkOpener;

  private constructor(open: OpenArchive, listing: Listing) {
    this.open = open;
    this.listing = listing;
    this.found = qubesIn(open.pinned.catalogue.volumes, listing);
    const { codec, level } = open.state.settings;
    this.#opener = new ChunkOpener(open.state.content.chunkContent(level, codec));
  }

  static async of(open: OpenArchive): Promise<QubeArchive> {
    return new QubeArchive(open, await open.reader.volumes());
  }

  /** @throws `not-found` */
  qube(name: string): ArchivedQube {
    const found = this.found.qubes.get(name);
    if (found !== undefined) return found;
    throw new SparsebakError('not-found', `the archive has no qube "${name}"`, { hint: 'See "sparsebak qube list".' });
  }

  /**
   * The session of a volume that a qube has at a session: the newest that is not newer. undefined: it has none.
   * @param session undefined: the newest
   * @throws `rollback` or `integrity` if the newest is missing
   */
  sessionAt(part: ArchivedPart, session: string | undefined): SessionName | undefined {
    if (session === undefined) {
      const fault = newestFault(part.entry, this.listing);
      if (fault !== undefined) throw fault;
      return part.entry.session ?? undefined;
    }
    if (!isSessionName(session)) throw noSessionName(session);
    return part.sessions.filter((each) => each <= session).at(-1);
  }

  /** @throws `integrity` */
  async head({ entry }: ArchivedPart, session: SessionName): Promise<ProvenSession> {
    try {
      const isNewest = session === entry.session;
      return await this.open.reader.head(entry.id, session, isNewest ? (entry.head ?? undefined) : undefined);
    } catch (error) {
      throw isIntegrity(error) ? explained(error, entry, session) : error;
    }
  }

  /** The settings at a session. @throws `integrity`, `failed`; `not-found` if there are none */
  async settings(qube: ArchivedQube, session: string | undefined): Promise<ArchivedSettings> {
    const at = qube.settings === undefined ? undefined : this.sessionAt(qube.settings, session);
    if (qube.settings === undefined || at === undefined) throw withoutSettings(qube, session);
    const proven = await this.head(qube.settings, at);
    const services = { client: this.open.client, reader: this.open.reader, opener: this.#opener };
    try {
      const bytes = await readSmall(proven, services, MAX_SETTINGS);
      return { session: at, document: decodeSettings(bytes, qube.settings.entry.name) };
    } catch (error) {
      throw isIntegrity(error) ? explained(error, qube.settings.entry, at) : error;
    }
  }
}

export interface ArchivedSettings {
  readonly session: SessionName;
  readonly document: Settings;
}

function explained(error: SparsebakError, { id, name }: CatalogueVolume, session: SessionName): SparsebakError {
  const hint = 'Others may be intact: choose an earlier one with --session.';
  return namingVolume(error, { id, name, session, hint });
}

function withoutSettings({ name, volumes }: ArchivedQube, session: string | undefined): SparsebakError {
  const [volume = 'private'] = volumes.keys();
  const when = session === undefined ? '' : ` at ${session} or before`;
  return new SparsebakError('not-found', `the archive has no settings of the qube ${name}${when}`, {
    hint: `Restore its volumes one by one, for example: sparsebak restore ${name}:${volume} --to PATH`,
  });
}

function qubesIn(entries: readonly CatalogueVolume[], listing: Listing): ArchivedQubes {
  const qubes = new Map<string, { name: string; volumes: Map<string, ArchivedPart>; settings?: ArchivedPart }>();
  let dom0Home: ArchivedPart | undefined;
  for (const entry of entries) {
    if (entry.state !== 'active' || entry.session === null) continue;
    const part = { entry, sessions: listing.names(entry.id) };
    if (entry.name === DOM0_HOME) dom0Home = part;
    const parsed = entry.name === DOM0_HOME ? undefined : parseArchiveName(entry.name);
    if (parsed === undefined) continue;
    const qube = qubes.get(parsed.qube) ?? { name: parsed.qube, volumes: new Map<string, ArchivedPart>() };
    if (parsed.volume === SETTINGS) qube.settings = part;
    else qube.volumes.set(parsed.volume, part);
    qubes.set(parsed.qube, qube);
  }
  const sorted = [...qubes].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    qubes: new Map(
      sorted.map(([name, { volumes, settings }]) => [
        name,
        { name, volumes: new Map([...volumes].sort(([a], [b]) => (a < b ? -1 : 1))), settings },
      ]),
    ),
    dom0Home,
  };
}

/** The names of all sessions at which something of the qube was saved, oldest first. */
export function sessionsOf({ volumes, settings }: ArchivedQube): SessionName[] {
  const parts = [...volumes.values(), ...(settings === undefined ? [] : [settings])];
  return [...new Set(parts.flatMap(({ sessions }) => sessions))].sort();
}
