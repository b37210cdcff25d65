/** A command over several archives: an error of one archive or volume is reported, and the others continue. */
import type { ArchiveName } from '../../shared/archive/names.ts';
import { EXIT_STATUS, SparsebakError } from '../../shared/errors.ts';
import type { OnLost, Store } from '../store/store.ts';
import { chosenArchives, complain, describeError } from './output.ts';
import type { Settings } from './settings.ts';

/** Collects errors and prints them to standard error. */
export class Troubles {
  readonly #of: ArchiveName;
  readonly #all: SparsebakError[];

  constructor(archive: ArchiveName, all: SparsebakError[]) {
    this.#of = archive;
    this.#all = all;
  }

  /** By the volume's id. */
  readonly add: OnLost<string> = (name, error) => {
    this.tell(`${name}: `, error);
  };

  tell(what: string, error: SparsebakError): void {
    this.#all.push(error);
    complain(`${this.#of}: ${what}${describeError(error)}`);
  }
}

export interface Outcome<T> {
  readonly reports: readonly T[];
  /**
   * The exit status for the errors, 0 if there are none: with a single archive that of its error, otherwise "partly
   * done".
   */
  readonly status: number;
}

export async function eachArchive<T>(
  store: Store,
  settings: Settings,
  work: (archive: ArchiveName, troubles: Troubles) => Promise<T>,
): Promise<Outcome<T>> {
  const reports: T[] = [];
  const errors: SparsebakError[] = [];
  const names = chosenArchives(store, settings);
  for (const name of names) {
    const troubles = new Troubles(name, errors);
    try {
      reports.push(await work(name, troubles));
    } catch (error) {
      // With a single archive, its error ends the command.
      if (!(error instanceof SparsebakError) || names.length === 1) throw error;
      troubles.tell('', error);
    }
  }
  return { reports, status: errors.length === 0 ? 0 : EXIT_STATUS.partial };
}
