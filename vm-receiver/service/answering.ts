/** Works on a request: sends `working` meanwhile, and the store's refusal as its answer. */
import { Refusal } from '../store/refusal.ts';
import type { Conversation } from './conversation.ts';

/** The result of the work; undefined if it was refused, which the agent was told. */
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
