/** Tags whose session nobody prunes: not dom0's policies, and not the backup VM, which is told of them as one bit. */

/** `protected`, and all that begin with `protected:`. It is in the tag itself, so it is signed with the catalogue. */
export function isProtecting(tag: string): boolean {
  return tag === 'protected' || tag.startsWith('protected:');
}

export function isProtectedBy(tags: readonly string[] | undefined): boolean {
  return tags?.some(isProtecting) === true;
}
