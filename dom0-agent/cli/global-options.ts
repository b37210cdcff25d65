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

/** Global options that are followed by their value. */
const WITH_VALUE = ['--config', '--archive', '--log-level', '--lock-wait'];

/** The command that a command line names. */
export function operandOf(moved: readonly string[]): string | undefined {
  for (let i = 0; i < moved.length; i++) {
    const arg = moved[i] ?? '';
    if (!arg.startsWith('-')) return arg;
    if (arg === '--') return undefined;
    if (WITH_VALUE.includes(arg)) i++;
  }
  return undefined;
}

/** The command line with the global options first: they may also follow the command. */
export function movedGlobals(args: readonly string[]): string[] {
  const front: string[] = [];
  const rest: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? '';
    const [name = ''] = arg.split('=');
    if (arg === '--') {
      rest.push(...args.slice(i));
      break;
    }
    if (arg === '--json') front.push(arg);
    else if (WITH_VALUE.includes(name)) {
      front.push(arg);
      const value = args[i + 1];
      if (!arg.includes('=') && value !== undefined) {
        front.push(value);
        i++;
      }
    } else rest.push(arg);
  }
  return [...front, ...rest];
}

function seconds(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 86_400)
    throw new InvalidArgumentError('a number of seconds up to 86400.');
  return value;
}
