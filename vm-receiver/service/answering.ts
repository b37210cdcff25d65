/**
 * A request being worked on: `working` while it lasts, and the store's refusal as its answer.
 */
import { Refusal } from '../store/refusal.ts';
import type { Conversation } from './conversation.ts';

/** What the work gives; undefined when it was refused, and the agent was told so. */
export async function answering<T>(
  conversation: Conversation,
  re: number,
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await conversation.during(re, work);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    await conversation.refuse(re, error);
    return undefined;
  }
}
