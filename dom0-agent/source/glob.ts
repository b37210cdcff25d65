/**
 * Patterns for volume names. `*` and `?` stop at a slash, `**` as a whole part of a path stands for any number of
 * folders (`work/**`), `[ab-c]` and `[!a]` for one character, a backslash takes the next character literally. A leading
 * dot is not special: a backup had better match too much. A pattern that equals the name always matches.
 */
export type NameMatcher = (name: string) => boolean;

/** Names that match any of the patterns and none of the excludes. */
export function nameMatcher(patterns: readonly string[], excludes: readonly string[]): NameMatcher {
  const wanted = patterns.map(globMatcher);
  const unwanted = excludes.map(globMatcher);
  return (name) => wanted.some((matches) => matches(name)) && !unwanted.some((matches) => matches(name));
}

/** Whether a pattern can match something in a folder of this name. */
export function folderMatcher(patterns: readonly string[]): NameMatcher {
  const paths = patterns.map((pattern) =>
    // An escaped slash is not supported specially.
    pattern.includes('\\/')
      ? ['**' as const]
      : pattern.split('/').map((part) => (part === '**' ? part : globMatcher(part))),
  );
  return (folder) => {
    const parts = folder.split('/');
    return paths.some((path) => leadsThrough(path, parts));
  };
}

function leadsThrough(path: readonly ('**' | NameMatcher)[], parts: readonly string[]): boolean {
  for (const [at, part] of parts.entries()) {
    const step = path[at];
    if (step === '**') return true;
    // The last part of a pattern matches names, not what is below them.
    if (step === undefined || at === path.length - 1 || !step(part)) return false;
  }
  return true;
}

function globMatcher(pattern: string): NameMatcher {
  const expression = new RegExp(`^${translate(pattern)}$`, 'su');
  return (name) => name === pattern || expression.test(name);
}

const TOKEN = /(?<=^|\/)\*\*(?:\/|$)|\*+|\?|\[!?\]?[^\]/]*\]|\\.|[^]/gu;

function translate(pattern: string): string {
  return pattern.replace(TOKEN, (token, at: number) => {
    const startsPart = at === 0 || pattern[at - 1] === '/';
    if (token === '**/') return '(?:[^/]+/)*';
    if (token === '**' && startsPart && at + 2 === pattern.length) return '.+';
    if (token.startsWith('*')) return '[^/]*';
    if (token === '?') return '[^/]';
    if (token.startsWith('[') && token.length > 2) return translateSet(token.slice(1, -1));
    return quote(token.startsWith('\\') && token.length > 1 ? token.slice(1) : token);
  });
}

function translateSet(set: string): string {
  const negated = set.startsWith('!');
  const members = set.slice(negated ? 1 : 0).replaceAll(/[\\\]^&[]/g, '\\$&');
  return negated ? `[^/${members}]` : `[${members}]`;
}

/** Escapes a name so that it matches literally. */
function quote(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

/** Whether a pattern can only match its own text. */
export function isLiteral(pattern: string): boolean {
  return !/[*?[\\]/.test(pattern);
}
