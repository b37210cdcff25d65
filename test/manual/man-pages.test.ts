// The man pages that the build makes: well formed, complete, and the same words as the help.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Command } from 'commander';
import { FAMILIES, isFamily } from '../../dom0-agent/cli/families.ts';
import { describeProgram as describeAgent } from '../../dom0-agent/cli/program.ts';
import { describeProgram as describeReceiver } from '../../vm-receiver/cli/program.ts';

const folder = join(import.meta.dirname, '../../dist/man');
const pages = readdirSync(folder).sort();

function ran(command: string, args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: folder, encoding: 'utf8' });
  if (error !== undefined) throw error;
  return { status, stdout, stderr };
}

const nothing = () => Promise.resolve();

interface Walked {
  /** `['sparsebak', 'key', 'add']`. */
  readonly path: readonly string[];
  readonly command: Command;
}

function withInner(command: Command, outer: readonly string[] = []): Walked[] {
  const path = [...outer, command.name()];
  return [{ path, command }, ...command.commands.flatMap((inner) => withInner(inner, path))];
}

const isMissing = (command: string) => spawnSync(command, ['--version'], { stdio: 'ignore' }).error !== undefined;

/** The page as a terminal shows it, without overstriking. */
function shown(page: string): string {
  return ran('groff', ['-man', '-Tutf8', '-Kutf8', '-P-cbou', '-rLL=100n', page]).stdout;
}

describe('man pages', () => {
  it('are well formed for mandoc', { skip: isMissing('mandoc') && 'machine: no mandoc' }, () => {
    const { stdout } = ran('mandoc', ['-Tlint', '-Wstyle', ...pages]);
    // A page has no date: it would not be the same in each build.
    const said = stdout
      .split('\n')
      .filter((line) => line !== '' && !/missing date|longer than 80 bytes: sparsebak/.test(line));
    assert.deepEqual(said, []);
  });

  describe('in groff', { skip: isMissing('groff') && 'machine: no groff' }, () => {
    it('are formatted without a warning', () => {
      for (const page of pages)
        assert.equal(ran('groff', ['-man', '-ww', '-Tutf8', '-Kutf8', '-z', page]).stderr, '', page);
    });

    it('have the sections that a reader expects, in their order', () => {
      for (const page of pages) {
        const headings = [...shown(page).matchAll(/^([A-Z][A-Z ]+)$/gm)].map(([, heading]) => heading);
        const wanted = page.endsWith('.1')
          ? ['NAME', 'SYNOPSIS', 'DESCRIPTION', 'OPTIONS', 'EXAMPLES', 'EXIT STATUS', 'FILES', 'SEE ALSO']
          : ['NAME', 'DESCRIPTION', 'FILES', 'SEE ALSO'];
        assert.deepEqual(
          headings.filter((heading) => wanted.includes(heading ?? '')),
          wanted,
          page,
        );
      }
    });

    it('have every command with all its options, as the help has them', () => {
      const programs = [describeAgent(nothing), describeReceiver(nothing)].flatMap((program) => withInner(program));
      // The core has only a line for a command that has a file of its own.
      const commands = programs.filter(({ path: [, name = ''] }) => name !== 'help' && !isFamily(name));
      const texts = new Map(pages.map((page) => [page, shown(page)]));
      for (const { path, command } of commands) {
        const text = texts.get(`${path.slice(0, 2).join('-')}.1`) ?? '';
        assert.ok(text.includes(path.join(' ')), path.join(' '));
        for (const { long, hidden } of command.options) {
          if (!hidden)
            assert.match(text, new RegExp(`^ +(-\\w, )?${long ?? ''}( |$)`, 'm'), `${path.join(' ')} ${long ?? ''}`);
        }
      }
      assert.ok(commands.length > 20);
    });
  });

  it('are there for each command that has a file of its own', () => {
    const built = Object.keys(FAMILIES).filter((name) => existsSync(join(folder, `../sparsebak-${name}.cjs`)));
    for (const name of built) assert.ok(pages.includes(`sparsebak-${name}.1`), name);
  });

  it('refer only to pages that there are', () => {
    let references = 0;
    for (const page of pages) {
      const text = readFileSync(join(folder, page), 'utf8').replaceAll('\\-', '-');
      for (const [, name, section] of text.matchAll(/\\fB(sparsebak[a-z.-]*)\\fR\((\d)\)/g)) {
        assert.ok(pages.includes(`${name}.${section}`), `${page} refers to ${name}(${section})`);
        references++;
      }
    }
    assert.ok(references > 50);
  });
});
