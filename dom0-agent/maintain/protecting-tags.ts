/**
 * Tags that protect a session from being pruned, by dom0's policies and by the backup VM, which knows them as one bit.
 */

/**
 * `protected`, and all tags that begin with `protected:`. Since the tag itself says it, it is signed with the
 * catalogue.
 */
export function isProtecting(tag: string): boolean {
  return tag === 'protected' || tag.startsWith('protected:');
}

export function isProtectedBy(tags: readonly string[] | undefined): boolean {
  return tags?.some(isProtecting) === true;
}
