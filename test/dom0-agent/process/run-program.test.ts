import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { open } from 'node:fs/promises';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readLines, runProgram } from '../../../dom0-agent/process/run-program.ts';
import { scratchFor } from '../../fixtures/scratch.ts';
import { limit } from '../../fixtures/limits.ts';

async function linesOf(script: string, files: readonly number[] = [], silence = 5000): Promise<string[]> {
  const lines: string[] = [];
  await readLines('sh', ['-c', script], files, silence, (line) => lines.push(line));
  return lines;
}

describe('a program that is started', () => {
  it('has the C locale, no input, and its output counts only with exit code 0', async () => {
    assert.equal(await runProgram('sh', ['-c', 'echo $LC_ALL; cat']), 'C');
    await assert.rejects(runProgram('sh', ['-c', 'echo out; echo oh >&2; exit 3']), {
      code: 'source',
      message: /3.*oh/s,
    });
    await assert.rejects(runProgram('not-there-at-all', []), {
      code: 'source',
      message: /^there is no not-there-at-all/,
    });
    await assert.rejects(runProgram('sh', ['-c', 'yes']), { code: 'source' });
    await assert.rejects(linesOf('echo out; exit 3'), { code: 'source' });
    await assert.rejects(linesOf('echo out; kill -9 $$'), { code: 'source' });
  });

  it('gives every line, however many', async () => {
    const lines = await linesOf('seq 500000');
    assert.equal(lines.length, 500_000);
    assert.equal(lines.at(-1), '500000');
  });

  it('is ended when it says nothing, even if what it started lives on (G4)', { timeout: limit(20_000) }, async () => {
    await assert.rejects(linesOf('echo once; sleep 15', [], 300), {
      code: 'source',
      message: /no output for 0.3 seconds/,
    });
    await assert.rejects(linesOf('sleep 15 & echo once; exec sleep 15', [], 300), { code: 'source' });
  });

  it('is ended when its output is refused', { timeout: limit(20_000) }, async () => {
    const refusal = new Error('refused');
    const refuse = (): never => {
      throw refusal;
    };
    await assert.rejects(readLines('sh', ['-c', 'yes'], [], 5000, refuse), refusal);
  });

  it('is refused when it ends within a line, or a line does not end', async () => {
    await assert.rejects(linesOf('printf "a\nb"'), { code: 'source' });
    await assert.rejects(linesOf('head -c 100000 /dev/zero; sleep 1'), { code: 'source' });
  });

  it('gets files as descriptors, of whatever name', async (t) => {
    const names = ['a\nb', '-c'].map((name) => join(scratchFor(t), name));
    const handles = [];
    for (const name of names) {
      writeFileSync(name, `content of ${name.length}\n`);
      handles.push(await open(name));
    }
    const lines = await linesOf(
      'cat /proc/self/fd/3 /proc/self/fd/4',
      handles.map(({ fd }) => fd),
    );
    assert.deepEqual(
      lines,
      names.map((name) => `content of ${String(name.length)}`),
    );
    for (const handle of handles) await handle.close();
  });
});
