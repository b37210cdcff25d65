/** The places of qubes' volumes, by Qubes' pools. */
import type { Config } from '../../../config/config.ts';
import type { Qubesd, QubeVolume } from '../../../qubes/qubesd.ts';
import { nameInPool, storageOf } from '../../../qubes/storage.ts';
import type { Exchange } from '../../../source/exchange.ts';
import { exchangeOf } from '../../../source/open-exchange.ts';
import type { Source } from '../../../source/source.ts';

export interface Place {
  readonly source: Source;
  readonly exchange: Exchange;
  /** The volume's name in the source. */
  readonly name: string;
}

export interface OpenedPool {
  readonly source: Source;
  readonly exchange: Exchange;
  readonly nameOf: (volume: Pick<QubeVolume, 'vid'>) => string;
}

/** Percent of a thin pool that may be in use, if the configuration has no [qubes]. */
const FULL_AT = 90;

export class Storages {
  readonly #qubesd: Qubesd;
  readonly #config: Config;
  readonly #opened = new Map<string, Promise<OpenedPool>>();

  constructor(qubesd: Qubesd, config: Config) {
    this.#qubesd = qubesd;
    this.#config = config;
  }

  async placeOf(volume: Pick<QubeVolume, 'pool' | 'vid'>): Promise<Place> {
    const { source, exchange, nameOf } = await this.pool(volume.pool);
    return { source, exchange, name: nameOf(volume) };
  }

  /** @param name of Qubes @throws `source` for a driver that sparsebak cannot use */
  async pool(name: string): Promise<OpenedPool> {
    const opened = this.#opened.get(name) ?? this.#open(name);
    this.#opened.set(name, opened);
    return await opened;
  }

  async #open(name: string): Promise<OpenedPool> {
    const { qubes, stateDir } = this.#config;
    const options = { state: qubes?.state ?? 'running', fullAt: qubes?.fullAt ?? FULL_AT, stateDir };
    const storage = storageOf(await this.#qubesd.pool(name), options);
    const nameOf = (volume: Pick<QubeVolume, 'vid'>): string => nameInPool(volume, storage);
    return { source: storage.source, exchange: exchangeOf(storage.options), nameOf };
  }
}
