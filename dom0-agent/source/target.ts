/**
 * Where a restore writes. What is there can be taken for the volume only once `finish` returned; until then the workers
 * write to `path`, each by a descriptor of its own, which must be closed before `finish` or `abandon`.
 */

export interface Target {
  /**
   * A file or block device, as large as the volume or larger. It may lead to a descriptor of this process, and then
   * does so only until `finish` or `abandon`.
   */
  readonly path: string;
  /**
   * Told of all zeros of the volume, in rising order, where they may need writing: a device keeps what it had, a new
   * sparse file has them.
   */
  readonly zeros?: (offset: number, length: number) => void;
  /** So many bytes more were written: the disk gets to work on them meanwhile. */
  wrote(bytes: number): void;
  /** All is written and proven: makes it durable and gives it its name. @throws `target` */
  finish(): Promise<Finished>;
  /** Takes away what was written, or makes sure that nobody takes it for the volume. */
  abandon(): Promise<void>;
}

export interface Finished {
  /** What the volume is called where it lies now. */
  readonly to: string;
  /** The volume whose place it took. */
  readonly kept?: Kept;
  /** Of one that took another's place: whether it did not get its owner and mode, and only root reads it. */
  readonly private?: boolean;
}

export interface Kept {
  readonly name: string;
  /** The command that removes it. */
  readonly removal: string;
}

/** A volume that is to be made in a pool. */
export interface NewVolume {
  readonly name: string;
  /** What it is called in the archive. */
  readonly archived: string;
  /**
   * Whom the file belonged to that was archived, and its mode, as `ownershipOf` writes them; undefined where that is
   * not known.
   */
  readonly ownership: string | undefined;
  /** Bytes. */
  readonly size: number;
  /** Whether it takes the place of one of this name; otherwise there must be none. */
  readonly replaces: boolean;
  /** How many bytes its data take in a pool that gives out blocks of so many bytes. */
  readonly bytesIn: (block: number) => Promise<number>;
}

/**
 * What to do where a volume is to be made of a name that is taken: to replace it is right only where it is the one that
 * was archived.
 */
export function hintForTaken({ name, archived }: NewVolume): string {
  return name === archived
    ? 'Name another with --as, or put the backup in its place with --replace.'
    : `Name another with --as. (--replace would not replace it, but ${archived} itself.)`;
}
