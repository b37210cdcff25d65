// Debian packages for the test guest: fetched by apt's own means into a cache, and unpacked there. Nothing is
// installed.

import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Debian 13's: the rewrite in Rust, whose output differs in small things from that of 0.9 in Debian 12. */
const NEWER_THIN_TOOLS = {
  file: 'thin-provisioning-tools_1.1.0-4+b1_amd64.deb',
  uri: 'http://deb.debian.org/debian/pool/main/t/thin-provisioning-tools/thin-provisioning-tools_1.1.0-4+b1_amd64.deb',
  hash: 'SHA256:b63ea01ec3ab5e8c98752787e0805deb33eb4ce803a717d61069ea31295c7c7f',
};

export class DebianPackages {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  /** The package file of the kernel that this Debian's meta package for virtual machines stands for. */
  async kernel(): Promise<string> {
    await refreshLists('linux-image-cloud-amd64');
    const { stdout } = await run('apt-cache', ['depends', 'linux-image-cloud-amd64']);
    const name = /Depends: (linux-image-\S+)/.exec(stdout)?.[1];
    if (name === undefined) throw new Error('apt knows no kernel for virtual machines');
    return await this.file(name);
  }

  async file(name: string): Promise<string> {
    await refreshLists(name);
    const { stdout } = await run('apt-get', ['download', '--print-uris', name]);
    const file = /^'[^']+' (\S+\.deb) /m.exec(stdout)?.[1];
    if (file === undefined) throw new Error(`apt knows no package ${name}`);
    const path = join(this.#folder, file);
    if (existsSync(path)) return path;
    // apt escapes characters of versions in one of the two places only, so what it downloads is found by its ending.
    return await this.#whole(file, async (folder) => {
      await run('apt-get', ['-qq', '-o', 'APT::Sandbox::User=root', 'download', name], { cwd: folder });
    });
  }

  /** Undefined where the mirror cannot be reached. */
  async newerThinTools(): Promise<string | undefined> {
    const { file, uri, hash } = NEWER_THIN_TOOLS;
    const path = join(this.#folder, file);
    if (existsSync(path)) return path;
    try {
      return await this.#whole(file, async (folder) => {
        const to = join(folder, file);
        await run('/usr/lib/apt/apt-helper', ['-o', 'APT::Sandbox::User=root', 'download-file', uri, to, hash]);
      });
    } catch {
      return undefined;
    }
  }

  /** Downloads beside the cache, and renames: tests that run at the same time must not find half a package. */
  async #whole(file: string, download: (folder: string) => Promise<void>): Promise<string> {
    const draft = mkdtempSync(join(this.#folder, 'draft-'));
    try {
      await download(draft);
      const got = readdirSync(draft).find((each) => each.endsWith('.deb'));
      if (got === undefined) throw new Error(`no package was downloaded for ${file}`);
      const path = join(this.#folder, file);
      renameSync(join(draft, got), path);
      return path;
    } finally {
      rmSync(draft, { recursive: true, force: true });
    }
  }
}

/** A fresh container has no lists of packages. */
async function refreshLists(name: string): Promise<void> {
  const { stdout } = await run('apt-cache', ['policy', name]);
  if (stdout.includes('Candidate:') || process.getuid?.() !== 0) return;
  await run('apt-get', ['-qq', 'update']);
}
