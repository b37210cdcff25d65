/** What a change to an archive (other than a send) works with. */
import type { Pool } from '../capture/pools.ts';
import type { OnWait } from '../link/call-watch.ts';
import type { ReceiverClient } from '../link/client.ts';
import type { OpenArchive } from '../proven-archive/open-archive.ts';
import type { LockOptions } from '../proven-archive/write-lock.ts';

export interface WriterOptions extends LockOptions {
  readonly pools: readonly Pool[];
  readonly acceptRollback?: boolean;
  readonly onWait: OnWait;
  /** This dom0 becomes the writer, even if another one is. */
  readonly adopts?: boolean;
}

export interface Writer extends WriterOptions {
  readonly open: OpenArchive;
  /** The connection that may prune, protect, rename and delete: over qrexec not the one that puts the catalogue. */
  maintenance(): Promise<ReceiverClient>;
}
