/**
 * Messages from frames. Bytes from the other side pass the strict scan, the decoder, and the message's schema, in this
 * order; after that a message's types can be relied on, but not its content.
 */
import { SparsebakError } from '../errors.ts';
import { escapeText } from '../text.ts';
import type * as z from '../zod.ts';
import { agentMessage, receiverMessage, type AgentMessage, type ReceiverMessage } from './messages.ts';
import { decodeMap } from './msgpack.ts';

/**
 * A message of the agent, from a frame without its length. Binary fields are views of the frame. Throws `protocol`,
 * naming the message and the field.
 */
export function decodeAgentMessage(frame: Uint8Array): AgentMessage {
  return decode(agentMessage, frame);
}

/** A message of the receiver; otherwise as `decodeAgentMessage`. */
export function decodeReceiverMessage(frame: Uint8Array): ReceiverMessage {
  return decode(receiverMessage, frame);
}

function decode<T>(schema: z.ZodMiniType<T>, frame: Uint8Array): T {
  const map = decodeMap(frame);
  const result = schema.safeParse(map);
  if (result.success) return result.data;
  throw refusal(map, result.error.issues[0]);
}

/** Names the message and the field, and never shows the field's content. */
function refusal(map: Record<string, unknown>, issue: z.core.$ZodIssue | undefined): SparsebakError {
  if (typeof map.t !== 'string') return new SparsebakError('protocol', 'a message without a type');
  const type = escapeText(map.t, 32);
  if (issue === undefined || issue.path[0] === 't') {
    return new SparsebakError('protocol', `an unknown message, "${type}"`);
  }
  const path = issue.path.map(String).join('.');
  const where = path === '' ? '' : `, field ${path}`;
  const what =
    issue.code === 'unrecognized_keys' ? `unknown field "${escapeText(issue.keys[0] ?? '', 32)}"` : issue.message;
  return new SparsebakError('protocol', `a bad message "${type}"${where}: ${escapeText(what, 200)}`);
}
