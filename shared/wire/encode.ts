/** Messages to frames: without the schemas, which a worker thread can do without. */
import { LENGTH_PREFIX } from './frame.ts';
import type { AgentMessage, ReceiverMessage } from './messages.ts';
import { encodeMap } from './msgpack.ts';

/** The message with its length ahead, as it goes on the wire. */
export function encodeFrame(message: AgentMessage | ReceiverMessage): Uint8Array {
  const frame = encodeMap(message, LENGTH_PREFIX);
  const length = frame.length - LENGTH_PREFIX;
  new DataView(frame.buffer, frame.byteOffset).setUint32(0, length);
  return frame;
}
