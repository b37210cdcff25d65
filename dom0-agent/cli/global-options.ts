/** The options that every command has, also those of the families. */
import { InvalidArgumentError, type Command } from 'commander';

export interface GlobalOptions {
  readonly config?: string;
  readonly archive?: string;
  readonly json?: boolean;
  readonly logLevel?: string;
  readonly lockWait?: number;
}

/** Adds them, and leaves errors and the end of the process to the caller. */
export function withGlobalOptions(program: Command): Command {
  return program
    .option('--config <file>', 'configuration file (default: /etc/sparsebak/sparsebak.toml)')
    .option('--archive <name>', 'which configured archive to use (default: the field "archive")')
    .option('--json', 'print one JSON document on standard output')
    .option('--log-level <level>', 'silent, error, warn, info or debug (default: warn)')
    .option('--lock-wait <seconds>', 'how long to wait for a lock that another command holds (default: 60)', seconds)
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ outputError: () => undefined });
}

function seconds(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 86_400)
    throw new InvalidArgumentError('a number of seconds up to 86400.');
  return value;
}
