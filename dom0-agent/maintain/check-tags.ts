/** Tags as users give them. */
import { SparsebakError } from '../../shared/errors.ts';
import { MAX_TAGS, MAX_TAG_LENGTH } from '../content/catalogue.ts';

/** @throws `usage` for an invalid tag or too many tags */
export function checkTags(tags: readonly string[]): void {
  for (const tag of tags) {
    if (tag === '' || Buffer.byteLength(tag) > MAX_TAG_LENGTH) {
      throw new SparsebakError('usage', `a tag has 1 to ${MAX_TAG_LENGTH} bytes`);
    }
  }
  if (tags.length > MAX_TAGS) throw new SparsebakError('usage', `a session has at most ${MAX_TAGS} tags`);
}
