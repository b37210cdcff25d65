/**
 * Resolves a path part by part, and holds each part before the next is looked up. A symbolic link is followed only if
 * it was made by root, the current user, or the owner of its target: otherwise its maker could have root read or write
 * what he may not.
 */
import { readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { SparsebakError, asSparsebakError, systemCode, type ErrorCode } from '../../shared/errors.ts';
import { Held, isSameFile } from './held-file.ts';

export interface Walk {
  readonly path: string;
  /** The folder that a relative path begins in; by default the working folder. */
  readonly from?: Held;
  /** `trusted`: followed by the rule above; `none`: not at all. */
  readonly links: 'trusted' | 'none';
}

export type Walked =
  /** Must be closed. */
  | { readonly kind: 'found'; readonly held: Held; readonly linked: boolean }
  | { readonly kind: 'missing'; readonly linked: boolean }
  /** A link is not followed. `isLast`: it is the last part of the path. */
  | { readonly kind: 'refused'; readonly reason: string; readonly isLast: boolean };

interface Link {
  readonly at: string;
  readonly owner: bigint;
}

/** The number that the kernel follows. */
const MAX_LINKS = 40;

/** @throws the system's errors, except that something does not exist */
export async function walk({ path, from, links: follow }: Walk): Promise<Walked> {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  const links: Link[] = [];
  let isLast = false;
  let here = Held.at(path.startsWith('/') ? '/' : (from?.in('.') ?? '.'));
  const move = (to: Held): void => {
    here.close();
    here = to;
  };
  try {
    for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
      const next = here.child(part);
      if (next === undefined) return { kind: 'missing', linked: links.length > 0 };
      if (!next.stats.isSymbolicLink()) {
        move(next);
        continue;
      }
      next.close();
      const at = `${readlinkSync(here.path).replace(/\/$/, '')}/${part}`;
      isLast = links.length === 0 ? parts.length === 0 : isLast;
      if (follow === 'none') return { kind: 'refused', reason: `${at} is a symbolic link`, isLast };
      const target = await readLink(here, part, next);
      if (target === undefined) return { kind: 'refused', reason: `the symbolic link ${at} keeps changing`, isLast };
      if (links.push({ at, owner: next.stats.uid }) > MAX_LINKS) {
        return { kind: 'refused', reason: `the symbolic link ${at} leads in a circle`, isLast };
      }
      parts.unshift(...target.split('/').filter((each) => each !== '' && each !== '.'));
      if (target.startsWith('/')) move(Held.at('/'));
    }
    const { uid } = here.stats;
    const foreign = links.find(({ owner }) => !isTrusted(owner, uid));
    if (foreign !== undefined) return { kind: 'refused', reason: describeForeign(foreign, uid), isLast };
    const held = here;
    here = Held.at('/');
    return { kind: 'found', held, linked: links.length > 0 };
  } catch (error) {
    if (systemCode(error) === 'ENOTDIR') return { kind: 'missing', linked: links.length > 0 };
    throw error;
  } finally {
    here.close();
  }
}

function isTrusted(owner: bigint, ofTarget: bigint): boolean {
  return owner === 0n || owner === BigInt(process.geteuid?.() ?? 0) || owner === ofTarget;
}

function describeForeign({ at, owner }: Link, ofTarget: bigint): string {
  return `the symbolic link ${at} belongs to user ${owner}, and its target belongs to user ${ofTarget}`;
}

/**
 * Milliseconds: the clock for file times ticks every 1 to 10 ms, and within one tick a name may have been another
 * file's.
 */
const CLOCK_TICK = 50;
const TRIES = 20;

/**
 * Reads the held link: no call reads a link by its descriptor, and its name may have been another file's for a moment
 * in between. Taking a name from a file and giving it back changes the file's ctime, which cannot be set.
 */
async function readLink(folder: Held, name: string, { stats }: Held): Promise<string | undefined> {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    if (Math.abs(Date.now() - Number(stats.ctimeMs)) > CLOCK_TICK) {
      try {
        const target = readlinkSync(folder.in(name));
        const after = folder.look(name);
        const same = after !== undefined && isSameFile(after, stats) && after.ctimeNs === stats.ctimeNs;
        return same ? target : undefined;
      } catch (error) {
        if (systemCode(error) === 'ENOENT' || systemCode(error) === 'EINVAL') return undefined;
        throw error;
      }
    }
    await delay(CLOCK_TICK);
  }
  return undefined;
}

/**
 * Opens a folder that the user or the configuration names. Links to it are followed by the rule above.
 * @param code of the errors that it throws
 */
export async function openFolder(path: string, code: ErrorCode, from?: Held): Promise<Held> {
  const walked = await walk({ path, links: 'trusted', ...(from === undefined ? {} : { from }) }).catch(
    (error: unknown) => {
      throw asSparsebakError(error, code, path);
    },
  );
  if (walked.kind === 'missing')
    throw new SparsebakError(code, `there is no folder ${path}`, { hint: 'Create it first, or choose another.' });
  if (walked.kind === 'refused') {
    throw new SparsebakError(code, `${path} is not accepted: ${walked.reason}`, {
      hint: 'Give the path of the target folder, without that link.',
    });
  }
  if (walked.held.stats.isDirectory()) return walked.held;
  walked.held.close();
  throw new SparsebakError(code, `${path} is not a folder`, { hint: 'Give a folder.' });
}
