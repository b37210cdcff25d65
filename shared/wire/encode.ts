/** Encodes messages to frames, without loading the schemas, which a worker thread does not need. */
import { LENGTH_PREFIX } from './frame.ts';
import type { AgentMessage, ReceiverMessage } from './messages.ts';
import { encodeMap } from './msgpack.ts';

/** The message with its length prefix, as it goes on the wire. */
export function encodeFrame(message: AgentMessage | ReceiverMessage): Uint8Array {
  const frame = encodeMap(message, LENGTH_PREFIX);
  const length = frame.length - LENGTH_PREFIX;
  new DataView(frame.buffer, frame.byteOffset).setUint32(0, length);
  return frame;
}
