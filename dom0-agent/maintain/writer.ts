/** What a change to an archive, one that is no send, works with. */
import type { Pool } from '../capture/pools.ts';
import type { OnWait } from '../link/call-watch.ts';
import type { ReceiverClient } from '../link/client.ts';
import type { OpenArchive } from '../proven-archive/open-archive.ts';
import type { LockOptions } from '../proven-archive/write-lock.ts';

export interface WriterOptions extends LockOptions {
  readonly pools: readonly Pool[];
  readonly acceptRollback?: boolean;
  readonly onWait: OnWait;
  /** This dom0 becomes the writer: that another one is does not matter. */
  readonly adopts?: boolean;
}

export interface Writer extends WriterOptions {
  readonly open: OpenArchive;
  /**
   * The call that may prune, protect, rename and delete: over qrexec another one than that which puts the catalogue.
   */
  maintenance(): Promise<ReceiverClient>;
}
