/**
 * The user's commands before and after a send, and before and after each volume's snapshot. A hook that fails stops
 * nothing, since a backup without its preparation is better than none; the send then ends with status 3.
 */
import { SparsebakError, asSparsebakError, reportOf, type ErrorReport } from '../../shared/errors.ts';
import { escapeText } from '../../shared/text.ts';
import type { Hook, NoticeConfig } from '../config/notices.ts';
import { runCommand } from '../process/run-command.ts';

export interface HookFailure {
  readonly hook: Hook;
  readonly volume?: string;
  readonly error: ErrorReport;
}

/** What a send tells of itself to its hooks. */
export interface VolumePlace {
  readonly volume: string;
  readonly pool: string;
}

export class Hooks {
  readonly failures: HookFailure[] = [];
  readonly #config: Pick<NoticeConfig, 'hooks' | 'hookLimit'>;
  readonly #archive: string;
  readonly #signal: AbortSignal;

  constructor(config: Pick<NoticeConfig, 'hooks' | 'hookLimit'>, archive: string, signal: AbortSignal) {
    this.#config = config;
    this.#archive = archive;
    this.#signal = signal;
  }

  /** @throws `interrupted` */
  async beforeSend(): Promise<void> {
    await this.#run('before_send', {}, { signal: this.#signal });
    if (this.#signal.aborted) throw new SparsebakError('interrupted', 'interrupted');
  }

  /** @param document of the send, as `--json` prints it */
  async afterSend(status: number, document: unknown): Promise<void> {
    await this.#run('after_send', { SPARSEBAK_STATUS: String(status) }, { input: `${JSON.stringify(document)}\n` });
  }

  /**
   * Runs `before_volume` for each, then takes the snapshots, then runs `after_volume` for each in any case: what was
   * frozen must be released.
   */
  async around<T>(places: readonly VolumePlace[], takeSnapshots: () => Promise<T>): Promise<T> {
    const begun: VolumePlace[] = [];
    try {
      for (const place of places) {
        if (this.#signal.aborted) break;
        begun.push(place);
        await this.#run('before_volume', variables(place), { signal: this.#signal, volume: place.volume });
      }
      return await takeSnapshots();
    } finally {
      for (const place of begun) await this.#run('after_volume', variables(place), { volume: place.volume });
    }
  }

  async #run(
    hook: Hook,
    variables: Readonly<Record<string, string>>,
    { volume, ...options }: { readonly input?: string; readonly signal?: AbortSignal; readonly volume?: string },
  ): Promise<void> {
    const command = this.#config.hooks[hook];
    if (command === undefined) return;
    const of = volume === undefined ? '' : ` for ${escapeText(volume, 4096)}`;
    const env = { SPARSEBAK_HOOK: hook, SPARSEBAK_ARCHIVE: this.#archive, ...variables };
    try {
      await runCommand({ name: `the hook ${hook}${of}`, command, env, limit: this.#config.hookLimit, ...options });
    } catch (caught) {
      if (options.signal?.aborted === true) return;
      this.failures.push({
        hook,
        ...(volume === undefined ? {} : { volume }),
        error: reportOf(asSparsebakError(caught)),
      });
    }
  }
}

function variables({ volume, pool }: VolumePlace): Record<string, string> {
  return { SPARSEBAK_VOLUME: volume, SPARSEBAK_POOL: pool };
}
