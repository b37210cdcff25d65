import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { chooseArchive, readConfig, type Config } from '../../../dom0-agent/config/config.ts';
import { SparsebakError } from '../../../shared/errors.ts';
import { scratchFor } from '../../fixtures/scratch.ts';

const whole = `
destination = "ssh://host/srv/backup"
archive = "laptop"
state_dir = "/var/lib/other"
initial = "full"
reread_per_day = 0
[archives.second]
destination = "local:/mnt/b"
[pool.main]
type = "reflink"
path = "/var/lib/qubes"
state = "running"
volumes = ["a*"]
exclude = ["ab"]
[pool.disks]
type = "file"
path = "/dev"
live = true
follow_symlinks = true
volumes = ["sda"]
`;

function configIn(t: TestContext, text: string): string {
  const file = join(scratchFor(t), 'sparsebak.toml');
  writeFileSync(file, text);
  return file;
}

function refusal(file: string): SparsebakError {
  try {
    readConfig(file);
  } catch (error) {
    assert.ok(error instanceof SparsebakError);
    assert.equal(error.code, 'config');
    assert.equal(error.exitStatus, 2);
    assert.ok(error.message.includes(file), `the file is named: ${error.message}`);
    assert.ok(error.hint !== undefined, 'and what to do next');
    return error;
  }
  return assert.fail('it was taken');
}

const unfollowed = { follow_symlinks: false };

describe('the configuration', () => {
  it('is read whole', (t) => {
    const config = readConfig(configIn(t, whole));
    assert.deepEqual(
      config.archives.map(({ name, destination }) => [name, destination.kind]),
      [
        ['laptop', 'ssh'],
        ['second', 'local'],
      ],
    );
    const { stateDir, initial, rereadPerDay, defaultArchive, pools } = config;
    assert.deepEqual([stateDir, initial, rereadPerDay, defaultArchive], ['/var/lib/other', 'full', 0, 'laptop']);
    assert.deepEqual(pools, [
      {
        name: 'main',
        type: 'reflink',
        path: '/var/lib/qubes',
        state: 'running',
        ...unfollowed,
        volumes: ['a*'],
        exclude: ['ab'],
      },
      { name: 'disks', type: 'file', path: '/dev', live: true, follow_symlinks: true, volumes: ['sda'], exclude: [] },
    ]);
  });

  it('has defaults for all but what must be said', (t) => {
    const { stateDir, initial, pools } = readConfig(configIn(t, '[pool.p]\ntype = "reflink"\npath = "/p"'));
    assert.deepEqual([stateDir, initial], ['/var/lib/sparsebak', 'ask-full']);
    assert.deepEqual(pools, [
      { name: 'p', type: 'reflink', path: '/p', state: 'running', ...unfollowed, volumes: [], exclude: [] },
    ]);
  });

  const wrong: Record<string, [string, RegExp]> = {
    'a field that there is none of': ['volumes = []', /volumes/],
    'a field of a pool that there is none of': ['[pool.p]\ntype = "file"\npath = "/p"\nvolume = "x"', /volume\b/],
    'an archive’s name': ['archive = "Lap Top"', /archive/],
    'an archive’s name in a section': ['[archives."../x"]\ndestination = "local:/x"', /archives/],
    'a type': ['[pool.p]\ntype = "zfs"\npath = "/p"', /pool\.p\.type/],
    'no type': ['[pool.p]\npath = "/p"', /pool\.p\.type/],
    'no path': ['[pool.p]\ntype = "file"', /pool\.p\.path/],
    'a relative path': ['[pool.p]\ntype = "file"\npath = "p"', /pool\.p\.path.*absolute/],
    'a relative state_dir': ['state_dir = "state"', /state_dir.*absolute/],
    'a number for a text': ['destination = 5', /destination/],
    'a text for a list': ['[pool.p]\ntype = "file"\npath = "/p"\nvolumes = "x"', /pool\.p\.volumes/],
    'an empty name': ['[pool.p]\ntype = "file"\npath = "/p"\nvolumes = [""]', /pool\.p\.volumes/],
    'a state': ['[pool.p]\ntype = "reflink"\npath = "/p"\nstate = "paused"', /pool\.p\.state/],
    initial: ['initial = "yes"', /initial/],
    'a negative budget': ['reread_per_day = -1', /reread_per_day/],
    'a pool’s name': ['[pool."a b"]\ntype = "file"\npath = "/p"', /pool\.a b/],
  };
  for (const [what, [text, names]] of Object.entries(wrong)) {
    it(`is refused for ${what}, which is named`, (t) => {
      assert.match(refusal(configIn(t, text)).message, names);
    });
  }

  it('names every wrong field, not just the first', (t) => {
    const text = 'initial = "x"\nstate_dir = "y"\n[pool.p]\ntype = "file"\npath = "z"\n[pool.q]\ntype = "reflink"';
    const { message } = refusal(configIn(t, text));
    for (const field of ['initial', 'state_dir', 'pool.p.path', 'pool.q.path'])
      assert.ok(message.includes(field), field);
  });

  it('is refused with the place of what is no TOML', (t) => {
    const { message } = refusal(configIn(t, 'archive = "a"\ndestination = [unquoted]\n'));
    assert.match(message, /not TOML/);
    assert.match(message, /2|unquoted/);
  });

  it('is refused where it is missing, a folder, or not to be read', (t) => {
    const folder = scratchFor(t);
    assert.match(refusal(join(folder, 'none.toml')).message, /there is no configuration/);
    assert.match(refusal(folder).message, /cannot be read/);
    const file = join(folder, 'secret.toml');
    writeFileSync(file, '');
    chmodSync(file, 0);
    if (process.getuid?.() !== 0) assert.match(refusal(file).message, /cannot be read/);
  });

  it('needs an archive and a destination together', (t) => {
    assert.match(refusal(configIn(t, 'destination = "local:/x"')).message, /no archive/);
    assert.match(refusal(configIn(t, 'archive = "a"')).message, /no destination/);
    const twice = 'archive = "a"\ndestination = "local:/x"\n[archives.a]\ndestination = "local:/y"';
    assert.match(refusal(configIn(t, twice)).message, /two destinations/);
  });

  it('names the file and the field of a destination that is none', (t) => {
    for (const text of ['archive = "a"\ndestination = "backup"', '[archives.a]\ndestination = "backup"']) {
      assert.match(refusal(configIn(t, text)).message, /"backup"/);
    }
  });

  it('takes names of volumes from the older tool’s list', (t) => {
    const file = configIn(t, '[pool.p]\ntype = "file"\npath = "/p"\nvolumes = ["a"]\nvolumes_from = "list.conf"');
    assert.match(refusal(file).message, /volumes_from/);
    writeFileSync(join(file, '../list.conf'), '# mine\n\nb \r\n  c d\n*e\n');
    assert.deepEqual(readConfig(file).pools[0]?.volumes, ['a', 'b', 'c d', '*e']);
  });
});

describe('the archive of a command', () => {
  const config = (t: TestContext, text: string): Config => readConfig(configIn(t, text));

  it('is the named one, the default, or the only one', (t) => {
    const both = config(t, whole);
    assert.equal(chooseArchive(both, undefined).name, 'laptop');
    assert.equal(chooseArchive(both, 'second').name, 'second');
    const single = config(t, '[archives.only]\ndestination = "local:/x"');
    assert.equal(chooseArchive(single, undefined).name, 'only');
    const chosen = config(
      t,
      'archive = "b"\n[archives.a]\ndestination = "local:/x"\n[archives.b]\ndestination = "local:/y"',
    );
    assert.equal(chooseArchive(chosen, undefined).name, 'b');
  });

  it('must be clear', (t) => {
    const two = config(t, '[archives.a]\ndestination = "local:/x"\n[archives.b]\ndestination = "local:/y"');
    assert.throws(() => chooseArchive(two, undefined), { exitStatus: 2, hint: /a, b/ });
    assert.throws(() => chooseArchive(two, 'c'), { exitStatus: 2, message: /"c"/, hint: /a, b/ });
    assert.throws(() => chooseArchive(config(t, ''), undefined), { exitStatus: 2, message: /no archive/ });
  });
});
