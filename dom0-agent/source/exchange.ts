/**
 * Puts a restored volume in the place of another, which is kept under another name: a step of its own, so that several
 * volumes are exchanged after all of them are complete. Each call can be repeated after a crash at any point.
 */
export interface VolumeNames {
  /** The volume whose place is taken. */
  readonly name: string;
  /** The one that takes it. */
  readonly incoming: string;
  /** The name that the old one gets. */
  readonly keptAs: string;
}

export interface Exchange {
  /** Names that no pattern selects, beside a volume. @param seconds since 1970 */
  names(volume: string, seconds: number): { readonly staged: string; readonly kept: string };
  exists(name: string): Promise<boolean>;
  /** Why the volume's place must not be taken now; undefined: it may. */
  use(name: string): Promise<string | undefined>;
  /** Does what is left of the exchange. @throws `target` if neither the volume nor the incoming one exists */
  exchange(names: VolumeNames): Promise<void>;
  /** Removes a volume with a name that `names` gave; it need not exist. */
  remove(name: string): Promise<void>;
}
