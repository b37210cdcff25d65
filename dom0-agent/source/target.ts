/**
 * Where a restore writes. Only after `finish` has returned is there something that looks like the volume; until then
 * the workers write to `path`, each by a descriptor of its own, which must be closed before `finish` or `abandon`.
 */

export interface Target {
  /**
   * A file or block device, as large as the volume or larger. It may lead to a descriptor of this process, and then
   * does so only until `finish` or `abandon`.
   */
  readonly path: string;
  /**
   * Called for all zeros of the volume, in rising order, if they may need writing: a device keeps its old content, a
   * new sparse file already has zeros.
   */
  readonly zeros?: (offset: number, length: number) => void;
  /** Called when more bytes were written, so that the disk can begin to write them back. */
  wrote(bytes: number): void;
  /** To be called when everything is written and proven: makes it durable and gives it its name. @throws `target` */
  finish(): Promise<Finished>;
  /** Removes what was written, or makes sure that it cannot be taken for the volume. */
  abandon(): Promise<void>;
}

export interface Finished {
  /** The volume's name at the target. */
  readonly to: string;
  /** The volume that it replaced. */
  readonly kept?: Kept;
  /** For one that replaced another: whether it did not get that one's owner and mode, so that only root can read it. */
  readonly private?: boolean;
}

export interface Kept {
  readonly name: string;
  /** The command that removes it. */
  readonly removal: string;
}

/** A volume to make in a pool. */
export interface NewVolume {
  readonly name: string;
  /** Its name in the archive. */
  readonly archived: string;
  /** Owner and mode of the archived file, as `ownershipOf` writes them; undefined if not known. */
  readonly ownership: string | undefined;
  /** Bytes. */
  readonly size: number;
  /** Whether it replaces a volume of this name; otherwise there must be none. */
  readonly replaces: boolean;
  /** How many bytes its data take in a pool with blocks of that many bytes. */
  readonly bytesIn: (block: number) => Promise<number>;
}

/** The hint if the name for a new volume is taken: replacing it is right only if it is the volume that was archived. */
export function hintForTaken({ name, archived }: NewVolume): string {
  return name === archived
    ? 'Choose another name with --as, or replace it by the backup with --replace.'
    : `Choose another name with --as. (--replace would not replace it, but ${archived} itself.)`;
}
