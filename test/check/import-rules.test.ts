// The import rules are only as good as their sight: each is seen here to find a planted breach, and to leave alone what
// is allowed. A copy of the whole tree is checked, so the rules are tried on the project as it is.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, existsSync, globSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { makeScratch, scratchFor } from '../fixtures/scratch.ts';

const root = join(import.meta.dirname, '../..');

const copied = [
  ...['shared', 'dom0-agent', 'vm-receiver', 'qubes-rpc', 'test', '.ci'],
  ...['package.json', 'tsconfig.json', 'eslint.config.js', '.dependency-cruiser.cjs'],
];

function copyTree(target: string): void {
  for (const name of copied.filter((each) => existsSync(join(root, each)))) {
    cpSync(join(root, name), join(target, name), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(target, 'node_modules'));
}

function plant(tree: string, file: string, source: string): void {
  mkdirSync(dirname(join(tree, file)), { recursive: true });
  writeFileSync(join(tree, file), `${source}\n`);
}

function node(tree: string, ...args: string[]): { status: number | null; text: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: tree, encoding: 'utf8' });
  return { status, text: stdout + stderr };
}

function checkImports(tree: string): { status: number | null; text: string } {
  return node(tree, join(tree, '.ci/check.mjs'), 'imports');
}

/** A planted file, and the line that must name it. */
interface Breach {
  readonly rule: string;
  readonly file: string;
  readonly source: string;
  /** What the source may import. */
  readonly beside?: Readonly<Record<string, string>>;
}

const planted = 'export const planted = 1;';
const plantedType = 'export type Planted = number;';

const breaches: readonly Breach[] = [
  {
    rule: 'shared-imports-neither-side',
    file: 'shared/planted-agent.ts',
    source: "export { planted } from '../dom0-agent/planted.ts';",
    beside: { 'dom0-agent/planted.ts': planted },
  },
  {
    rule: 'shared-imports-neither-side',
    file: 'shared/planted-type.ts',
    source: "import type { Planted } from '../vm-receiver/planted-type.ts';\nexport const one: Planted = 1;",
    beside: { 'vm-receiver/planted-type.ts': plantedType },
  },
  {
    rule: 'agent-imports-no-receiver',
    file: 'dom0-agent/cli/planted.ts',
    source: "export { planted } from '../../vm-receiver/planted.ts';",
    beside: { 'vm-receiver/planted.ts': planted },
  },
  {
    rule: 'receiver-imports-no-agent',
    file: 'vm-receiver/service/planted.ts',
    source: "export const late = () => import('../../dom0-agent/planted.ts');",
    beside: { 'dom0-agent/planted.ts': planted },
  },
  {
    rule: 'agent-starts-processes-only-in-process',
    file: 'dom0-agent/cli/planted-execa.ts',
    source: "export { execa } from 'execa';",
  },
  {
    rule: 'agent-starts-processes-only-in-process',
    file: 'dom0-agent/capture/planted-spawn.ts',
    source: "export { spawn } from 'node:child_process';",
  },
  {
    rule: 'agent-starts-processes-only-in-process',
    file: 'dom0-agent/main-planted.ts',
    source: "export const late = () => import('child_process');",
  },
  {
    rule: 'receiver-starts-processes-only-in-store',
    file: 'vm-receiver/retention/planted-spawn.ts',
    source: "export { spawn } from 'node:child_process';",
  },
  {
    rule: 'shared-starts-no-processes',
    file: 'shared/planted-spawn.ts',
    source: "export { spawn } from 'node:child_process';",
  },
  {
    rule: 'config-only-parses',
    file: 'dom0-agent/config/planted-pool.ts',
    source: "export { planted } from '../capture/planted.ts';",
    beside: { 'dom0-agent/capture/planted.ts': planted },
  },
  {
    rule: 'store-disk-knows-no-layout',
    file: 'vm-receiver/store/files/disk/planted.ts',
    source: "export { planted } from '../layout/planted.ts';",
    beside: { 'vm-receiver/store/files/layout/planted.ts': planted },
  },
  {
    rule: 'store-layout-knows-disk-alone',
    file: 'vm-receiver/store/files/layout/planted-send.ts',
    source: "export { planted } from '../send/planted.ts';",
    beside: { 'vm-receiver/store/files/send/planted.ts': planted },
  },
  {
    rule: 'zod-through-one-module',
    file: 'dom0-agent/content/planted-zod.ts',
    source: "export { string } from 'zod';",
  },
  {
    rule: 'zod-through-one-module',
    file: 'vm-receiver/store/planted-mini.ts',
    source: "import * as z from 'zod/mini';\nexport const planted = z.string();",
  },
  {
    rule: 'zod-through-one-module',
    file: 'shared/planted-core.ts',
    source: "export type { $ZodType } from 'zod/v4/core';",
  },
  {
    rule: 'zod-through-one-module',
    file: 'test/planted-zod.ts',
    source: "export const late = () => import('zod');",
  },
  {
    rule: 'product-imports-no-tests',
    file: 'vm-receiver/store/planted-test.ts',
    source: "export { Random } from '../../test/fixtures/random.ts';",
  },
  {
    rule: 'product-imports-no-tests',
    file: 'dom0-agent/restore/planted-runner.ts',
    source: "export { test } from 'node:test';",
  },
  {
    rule: 'product-imports-no-devdependencies',
    file: 'dom0-agent/config/planted.ts',
    source: "export { assert } from 'fast-check';",
  },
  {
    rule: 'no-unresolved-imports',
    file: 'shared/planted-nothing.ts',
    source: "export { nothing } from './not-there.ts';",
  },
  {
    rule: 'no-cycles',
    file: 'shared/archive/planted-a.ts',
    source: "import { b } from './planted-b.ts';\nexport const a = b;\nexport type A = typeof a;",
    beside: {
      'shared/archive/planted-b.ts':
        "import type { A } from './planted-a.ts';\nexport const b = 1;\nexport type B = A;",
    },
  },
];

const allowed: Readonly<Record<string, string>> = {
  'dom0-agent/process/allowed.ts': "export { execa } from 'execa';",
  'dom0-agent/process/allowed-too.ts': "export { spawn } from 'node:child_process';",
  'vm-receiver/store/allowed.ts': "export { spawn } from 'node:child_process';",
  'test/allowed.ts': "export { spawn } from 'node:child_process';\nexport { assert } from 'fast-check';",
  'vm-receiver/service/allowed.ts': "export * from '../../shared/allowed.ts';",
  'shared/allowed.ts': planted,
};

describe('import rules', () => {
  let tree: string;
  let breached: ReturnType<typeof checkImports>;

  before(() => {
    tree = makeScratch('rules');
    copyTree(tree);
    for (const { file, source, beside = {} } of breaches) {
      plant(tree, file, source);
      for (const [each, text] of Object.entries(beside)) plant(tree, each, text);
    }
    for (const [file, source] of Object.entries(allowed)) plant(tree, file, source);
    breached = checkImports(tree);
  });

  after(() => {
    rmSync(tree, { recursive: true, force: true });
  });

  for (const { rule, file } of breaches) {
    it(`${rule} finds ${file}`, () => {
      const found = breached.text.split('\n').some((line) => line.trim().startsWith(`${rule}: ${file} -> `));
      assert.ok(found, breached.text);
    });
  }

  it('has a breach for every rule', async () => {
    const rules = (await import('../../.dependency-cruiser.cjs')).default.forbidden?.map(({ name }) => name);
    assert.deepEqual(new Set(breaches.map(({ rule }) => rule)), new Set(rules));
  });

  it('goes red', () => {
    assert.equal(breached.status, 1, breached.text);
  });

  it('leaves alone what is allowed', () => {
    for (const file of Object.keys(allowed)) assert.ok(!breached.text.includes(`${file} ->`), breached.text);
  });

  it('is green on the tree as it is, having seen all of it', (t) => {
    const clean = scratchFor(t);
    copyTree(clean);
    const { status, text } = checkImports(clean);
    assert.equal(status, 0, text);
    const modules = Number(/(\d+) modules/.exec(text)?.[1]);
    const sources = globSync('{shared,dom0-agent,vm-receiver,test}/**/*.ts', { cwd: clean }).length;
    assert.ok(modules >= sources && sources > 0, `${modules} modules of ${sources} sources: ${text}`);
  });

  it('goes red when it sees nothing', (t) => {
    const blind = scratchFor(t);
    copyTree(blind);
    appendFileSync(join(blind, '.dependency-cruiser.cjs'), "module.exports.options.exclude = '[.]ts$';\n");
    const { status, text } = checkImports(blind);
    assert.equal(status, 1, text);
    assert.match(text, /not looked at: dom0-agent\/main\.ts/);
  });
});

describe('the rules of eslint', () => {
  const spared: Readonly<Record<string, string>> = {
    'dom0-agent/content/allowed.ts': "export { createCipheriv, createHmac, hkdfSync, scrypt } from 'node:crypto';",
    'shared/allowed.ts': "export { createHash, randomBytes, timingSafeEqual } from 'node:crypto';",
  };
  const cipherUse: Readonly<Record<string, string>> = {
    'shared/cipher-named.ts': "import { createCipheriv } from 'node:crypto';\nexport const use = createCipheriv;",
    'dom0-agent/cipher-mac.ts': "import { createHmac as mac } from 'crypto';\nexport const use = mac;",
    'vm-receiver/cipher-namespace.ts': "import * as crypto from 'node:crypto';\nexport const use = crypto.createHash;",
    'vm-receiver/cipher-default.ts': "import crypto from 'node:crypto';\nexport const use = crypto.createHash;",
    'dom0-agent/cli/cipher-export.ts': "export { scrypt } from 'node:crypto';",
    'dom0-agent/cli/cipher-all.ts': "export * from 'node:crypto';",
    'dom0-agent/pipeline/cipher-late.ts': "export const use = () => import('node:crypto');",
    'dom0-agent/proven-archive/cipher-global.ts': 'export const use = crypto.subtle;',
  };

  const wholeZod: Readonly<Record<string, string>> = {
    'shared/zod-whole.ts': "import { z } from './zod.ts';\nexport const use = z.string();",
    'vm-receiver/zod-whole.ts': "import { z as all } from '../shared/zod.ts';\nexport const use = all.string();",
    'test/zod-whole.ts': "import { z } from '../shared/zod.ts';\nexport const use = z.string();",
  };
  const partOfZod: Readonly<Record<string, string>> = {
    'shared/zod-part.ts': "import * as z from './zod.ts';\nexport const use = z.string();",
  };

  let found: (message: string) => string[];

  before(() => {
    const tree = makeScratch('lint');
    try {
      copyTree(tree);
      const planted = { ...spared, ...cipherUse, ...wholeZod, ...partOfZod };
      for (const [file, source] of Object.entries(planted)) plant(tree, file, source);
      const eslint = join(tree, 'node_modules/eslint/bin/eslint.js');
      const { status, text } = node(tree, eslint, '--format=json', ...Object.keys(planted));
      assert.equal(status, 1, text);
      const results = JSON.parse(text) as { filePath: string; messages: { message: string }[] }[];
      found = (part) =>
        results
          .filter(({ messages }) => messages.some(({ message }) => message.includes(part)))
          .map(({ filePath }) => filePath.slice(tree.length + 1))
          .sort();
    } finally {
      rmSync(tree, { recursive: true, force: true });
    }
  });

  it('find every way to reach a cipher outside dom0-agent/content, and no other use of node:crypto', () => {
    assert.deepEqual(found('Only dom0-agent/content'), Object.keys(cipherUse).sort());
  });

  it('find what would put all of zod into a bundle', () => {
    assert.deepEqual(found('all of zod'), Object.keys(wholeZod).sort());
  });
});
