/** What a volume holds, small enough to compare whole: one number per 32 KiB; 0 stands for zeros. */
export const BLOCK = 32 * 1024;

export interface Content {
  readonly size: number;
  /** May reach past the size: a thin volume keeps what lies beyond its end. */
  readonly blocks: readonly number[];
}

/** The chunk's content as text: equal exactly for equal bytes. */
function chunkText({ size, blocks }: Content, chunkSize: number, chunk: number): string {
  const end = Math.min(size, (chunk + 1) * chunkSize);
  const parts: string[] = [];
  for (let offset = chunk * chunkSize; offset < end; offset += BLOCK) {
    parts.push(`${blocks[offset / BLOCK] ?? 0}*${Math.min(BLOCK, end - offset)}`);
  }
  return parts.join(' ');
}

export function chunkTexts(content: Content, chunkSize: number): string[] {
  return Array.from({ length: Math.ceil(content.size / chunkSize) }, (_, chunk) =>
    chunkText(content, chunkSize, chunk),
  );
}
