/** Where the global options of a command line are: they may also follow the command. */

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
