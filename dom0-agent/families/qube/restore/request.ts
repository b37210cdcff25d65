/** What a restore was asked for, and what the archive has for it. */
import type { ArchivedSettings } from '../archived.ts';

/** A qube as it is in the archive at the session that was asked for. */
export interface SelectedQube {
  readonly qube: string;
  readonly settings: ArchivedSettings;
  /** By the volume's name in Qubes. */
  readonly volumes: Readonly<Record<string, { readonly session: string; readonly sizeBytes: number }>>;
}

export interface RestoreRequest {
  readonly mode: 'create' | 'replace' | 'all';
  readonly as: string | undefined;
  readonly pool: string | undefined;
  readonly templates: ReadonlyMap<string, string>;
  readonly netvms: ReadonlyMap<string, string>;
}
