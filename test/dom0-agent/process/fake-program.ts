// Programs that do what they should not, found before the real ones.

import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** While `use` runs, `program` is this shell script. */
export async function withFake<T>(scratch: string, program: string, script: string, use: () => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(scratch, 'bin-'));
  writeFileSync(join(folder, program), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, program), 0o755);
  const { PATH } = process.env;
  process.env.PATH = `${folder}:${PATH ?? ''}`;
  try {
    return await use();
  } finally {
    process.env.PATH = PATH;
  }
}
