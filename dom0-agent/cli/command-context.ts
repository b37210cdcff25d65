/** What every command gets: the global options, the configuration on demand, the log, and the signal that ends it. */
import { formatSeconds } from '../../shared/terminal/sizes.ts';
import { pino, type DestinationStream, type Logger } from 'pino';
import { SparsebakError } from '../../shared/errors.ts';
import { isJournal, priorityOf, withPriority } from '../../shared/terminal/journal.ts';
import { escapeText } from '../../shared/text.ts';
import { DEFAULT_CONFIG, chooseArchive, readConfig, type ArchiveConfig, type Config } from '../config/config.ts';
import { misplacedFolder } from '../capture/misplaced-folder.ts';
import { openPools, type Pool } from '../capture/pools.ts';
import type { OnWait, Waiting } from '../link/call-watch.ts';
import { mustBeAccessible } from '../proven-archive/state-access.ts';
import type { GlobalOptions } from './global-options.ts';
import { print, printJson } from './output.ts';
import { Progress } from './progress.ts';
import { givenPath } from './working-folder.ts';

export class CommandContext {
  readonly options: GlobalOptions;
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly progress: Progress;
  /** What the command found, for notices; undefined if it failed before it knew, or only showed something. */
  document: unknown;
  #pools: Pool[] | undefined;
  #config: Config | undefined;

  constructor(options: GlobalOptions, signal: AbortSignal) {
    this.options = options;
    this.signal = signal;
    this.progress = new Progress(options.json === true);
    this.log = openLog(options.logLevel ?? 'warn', this.progress);
  }

  get json(): boolean {
    return this.options.json === true;
  }

  /** Seconds. */
  get lockWait(): number {
    return this.options.lockWait ?? 60;
  }

  get config(): Config {
    this.#config ??= readConfig(givenPath(this.options.config ?? DEFAULT_CONFIG));
    return this.#config;
  }

  get archive(): ArchiveConfig {
    return chooseArchive(this.config, this.options.archive);
  }

  /** The same at each call: two openings of dom0's state would wait for each other. */
  pools(): Pool[] {
    mustBeAccessible(this.config.stateDir);
    this.#pools ??= openPools(this.config, {
      lockWait: this.lockWait,
      signal: this.signal,
      warn: (message) => {
        this.log.warn(message);
      },
    });
    return this.#pools;
  }

  /** Shows the task that the receiver is busy with, while there is no progress to show. */
  readonly onWait: OnWait = (waiting) => {
    this.progress.wait(waiting === undefined ? undefined : describeWaiting(waiting));
  };

  /**
   * The pools, for a command that looks for volumes in them. @throws `config` if one contains the archive or dom0's
   * state
   */
  async poolsToRead(): Promise<Pool[]> {
    const error = await misplacedFolder(this.config);
    if (error !== undefined) throw error;
    return this.pools();
  }

  /** Prints the result of a command, as JSON or as text, and keeps it for notices. */
  conclude(document: unknown, text: () => string): void {
    this.document = document;
    if (this.json) printJson(document);
    else print(text());
  }

  throwIfInterrupted(): void {
    if (this.signal.aborted) throw new SparsebakError('interrupted', 'interrupted');
  }
}

function logStream(progress: Progress): DestinationStream {
  const levelOf = (line: string) => JSON.parse(line) as { level: number; msg?: string };
  if (process.stderr.isTTY) {
    return {
      write: (line) => {
        progress.clear();
        const { level, msg = '' } = levelOf(line);
        print(`${level >= 50 ? 'error: ' : level >= 40 ? 'warning: ' : ''}${escapeText(msg, 2000)}`, 2);
      },
    };
  }
  const journal = isJournal(2);
  return {
    write: (line) => {
      const text = line.trimEnd();
      print(journal ? withPriority(text, priorityOf(levelOf(line).level)) : text, 2);
    },
  };
}

function describeWaiting({ destination, task, seconds, secondsLeft }: Waiting): string {
  return `waiting for ${destination} to ${task}  ${formatSeconds(seconds)}, at most ${formatSeconds(secondsLeft)} more`;
}

const LEVELS = ['silent', 'error', 'warn', 'info', 'debug'];

/** JSON lines on stderr, with priorities if that is the journal; on a terminal plain lines. */
function openLog(level: string, progress: Progress): Logger {
  if (!LEVELS.includes(level)) {
    throw new SparsebakError('usage', `"${level}" is not a log level`, { hint: `Use one of: ${LEVELS.join(', ')}.` });
  }
  return pino({ level, base: null }, logStream(progress));
}
