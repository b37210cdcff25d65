/** The commands that are meant to run by themselves. */
export const RECORDED = ['monitor', 'send', 'prune', 'verify'] as const;
export type RecordedCommand = (typeof RECORDED)[number];

export function isRecorded(command: string): command is RecordedCommand {
  return (RECORDED as readonly string[]).includes(command);
}
