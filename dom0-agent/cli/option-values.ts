/** Parses the values of options. */
import { InvalidArgumentError } from 'commander';
import { parseSize } from '../../shared/archive/low-space.ts';
import { parseCount, parseWithin } from '../../shared/archive/retention-values.ts';
import { asSparsebakError } from '../../shared/errors.ts';

/** An option that may be repeated. */
export function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

export function count(text: string): number {
  return parsed(() => parseCount(text));
}

/** Milliseconds. */
export function within(text: string): number {
  return parsed(() => parseWithin(text));
}

/** Bytes a second. */
export function rate(text: string): number {
  const bytes = parsed(() => parseSize(text));
  if (bytes === 0) throw new InvalidArgumentError('0 reads nothing: leave the option out.');
  return bytes;
}

function parsed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new InvalidArgumentError(asSparsebakError(error).message);
  }
}
