// A backup and a restore to look at: a volume with a file system and files in it, a first session, changes, two monitor
// runs, a second session, both restored and compared. Then the same state sent in full to another archive, to have
// measured what the second session would have cost without all this.

import { copyFileSync, constants, mkdirSync, writeFileSync } from 'node:fs';
import { constants as os } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Commands } from './command.ts';
import { costTable, mib, type Cost } from './cost.ts';
import { openStage, sweepOldStages, type Stage } from './stage.ts';
import { Guest, makeContent, makeVolume } from './volume.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const bundle = join(root, 'dist/sparsebak.js');
const sbin = '/usr/local/sbin:/usr/sbin:/sbin';

const VOLUME_BYTES = 2 ** 29;
const VOLUME = 'work/private.img';

interface SendDocument {
  readonly session: string;
  readonly volumes: readonly { readonly kind: string; readonly changedBytes: number; readonly sentBytes: number }[];
}

interface ListDocument {
  readonly volumes: readonly {
    readonly sessions: readonly { readonly session: string; readonly storedBytes: number }[];
  }[];
}

const interrupted = new AbortController();
const endings: Partial<Record<NodeJS.Signals, number>> = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };
for (const [signal, status] of Object.entries(endings)) {
  process.on(signal, () => {
    process.exitCode = status;
    interrupted.abort(new Error('interrupted'));
  });
}
// A reader that is gone (npm run demo | head) ends the demo, too.
process.stdout.on('error', () => {
  process.exitCode = 128 + os.signals.SIGPIPE;
  interrupted.abort(new Error('nobody reads any more'));
});

const began = performance.now();
for (const folder of sweepOldStages()) console.log(`Removed what a killed run left: ${folder}`);
let stage: Stage | undefined;
try {
  stage = await openStage();
  interrupted.signal.throwIfAborted();
  await play(stage);
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode ??= 1;
} finally {
  await stage?.close();
}

async function play(on: Stage): Promise<void> {
  const { folder, volumes, copies } = on;
  const volume = join(volumes, VOLUME);
  const commands = new Commands(interrupted.signal, {
    env: { ...process.env, PATH: `${process.env.PATH ?? ''}:${sbin}` },
    shorten: [
      [`${process.execPath} `, 'node '],
      [bundle, 'dist/sparsebak.js'],
      [volumes, '/pool'],
      [copies, '/copies'],
      [folder, '/demo'],
      [`${root}/`, ''],
    ],
  });
  const sparsebak = (...args: string[]) => [bundle, '--config', join(folder, 'sparsebak.toml'), ...args] as const;
  const guest = new Guest(commands, volume, folder, on.pool === 'reflink');
  const costs: Cost[] = [];

  /** Sends and notes what it cost. */
  async function send(what: string, archive: string, ...args: string[]): Promise<string> {
    const ran = await commands.quiet(process.execPath, sparsebak('--archive', archive, '--json', 'send', ...args));
    const { session, volumes: reports } = JSON.parse(ran.stdout) as SendDocument;
    const [report] = reports;
    if (report === undefined) throw new Error('the send had no volume');
    console.log(`    ${session}: ${report.kind}, ${mib(report.changedBytes)} changed, ${mib(report.sentBytes)} sent`);
    costs.push({ what, readBytes: ran.readBytes, sentBytes: report.sentBytes, archive, session, seconds: ran.seconds });
    return session;
  }

  async function stored(archive: string): Promise<[string, number][]> {
    const ran = await commands.quiet(process.execPath, sparsebak('--archive', archive, '--json', 'list'));
    const { volumes: listed } = JSON.parse(ran.stdout) as ListDocument;
    return (listed[0]?.sessions ?? []).map(({ session, storedBytes }) => [`${archive} ${session}`, storedBytes]);
  }

  async function monitor(): Promise<void> {
    const ran = await commands.show(process.execPath, sparsebak('monitor'));
    costs.push({ what: 'monitor', readBytes: ran.readBytes, seconds: ran.seconds });
  }

  function keep(name: string): void {
    copyFileSync(volume, join(copies, name), constants.COPYFILE_FICLONE);
  }

  console.log(`This runs dist/sparsebak.js on ${on.about}.`);
  console.log(`Shown shorter: /pool is ${volumes}, /copies is ${copies}, /demo is ${folder}.`);

  title(`A volume of ${mib(VOLUME_BYTES)} that holds a file system with some thousand files`);
  const content = join(folder, 'content');
  makeContent(content, join(root, 'node_modules'));
  await makeVolume(commands, volume, VOLUME_BYTES, content);
  writeSettings(on);

  title('A new archive, encrypted; the recovery key goes into a file');
  const secrets = ['--passphrase-file', join(folder, 'passphrase')];
  const init = (archive: string) =>
    commands.show(
      process.execPath,
      sparsebak(
        '--archive',
        archive,
        'init',
        ...secrets,
        '--recovery-key-file',
        join(folder, `${archive}.recovery-key`),
      ),
    );
  await init('laptop');

  title('The first session');
  keep('first');
  const first = await send('first session', 'laptop', '--full');

  title('Work goes on in the volume; a monitor run notes which blocks changed, and sends nothing');
  await guest.change('report.pdf', 3 * 2 ** 20, 'typescript/ThirdPartyNoticeText.txt');
  await monitor();
  await guest.change('photo.jpg', 5 * 2 ** 20, 'typescript/README.md');
  await monitor();

  title('The second session');
  keep('second');
  const second = await send('second session', 'laptop');
  await commands.show(process.execPath, sparsebak('--archive', 'laptop', 'list'));

  title('Both are restored, and compared with copies that were made when they were sent');
  for (const [session, copy] of [[first, 'first'] as const, [second, 'second'] as const]) {
    const target = join(folder, `restored-${copy}.img`);
    const options = ['--archive', 'laptop', 'restore', VOLUME, '--session', session, '--to', target];
    await commands.show(process.execPath, sparsebak(...options));
    await commands.quiet('cmp', [target, join(copies, copy)]);
    console.log('    the same, byte for byte');
  }

  title('For comparison: the same volume as a second full copy, in an archive of its own');
  await init('full-copy');
  await send('a full copy instead', 'full-copy', '--full');

  title('What it cost');
  const bytes = new Map([...(await stored('laptop')), ...(await stored('full-copy'))]);
  console.log(`\n${costTable(costs, bytes)}\n`);
  console.log(
    '"read" is all that the agent read, its own program (about 2 MiB) included. The second session read more',
  );
  console.log(
    on.pool === 'reflink'
      ? 'than had changed: each reads some unchanged chunks again, at random, to check that its records are right.'
      : 'than had changed: plain files have no record of changes, so all is compared, and monitor has nothing to note.',
  );
  console.log(
    `\nAll in ${((performance.now() - began) / 1000).toFixed(0)} s. Everything that was made is removed again.`,
  );
}

function title(text: string): void {
  interrupted.signal.throwIfAborted();
  console.log(`\n${text}`);
}

function writeSettings({ folder, volumes, pool }: Stage): void {
  mkdirSync(join(folder, 'backup'));
  writeFileSync(join(folder, 'passphrase'), 'only for this demo\n', { mode: 0o600 });
  const lines = [
    `archive = "laptop"`,
    `destination = "local:${join(folder, 'backup')}"`,
    `state_dir = "${join(folder, 'state')}"`,
    `[archives.full-copy]`,
    `destination = "local:${join(folder, 'backup')}"`,
    `[pool.main]`,
    `type = "${pool}"`,
    `path = "${volumes}"`,
    `volumes = ["${VOLUME}"]`,
  ];
  writeFileSync(join(folder, 'sparsebak.toml'), `${lines.join('\n')}\n`);
}
