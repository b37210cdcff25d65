// The report of a real archive, in a real browser.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import { pageOf } from '../../dom0-agent/families/report/page.ts';
import type { ReportDocument } from '../../dom0-agent/families/report/document.ts';
import { Installation } from '../fixtures/installation.ts';
import { makeScratch, scratchFor } from '../fixtures/scratch.ts';
import { DARK, browse, browserSkip } from './browser.ts';
import { sampleReport } from './sample.ts';

const AWKWARD = `<img src=x onerror=alert(1)>"'&\u202e\n.img`;

describe('sparsebak report', () => {
  let place: Installation;
  let sessions: string[];

  before(async () => {
    place = new Installation(makeScratch('report'), 'laptop');
    writeFileSync(place.config, `${readFileSync(place.config, 'utf8')}[retention]\nkeep_last = 1\n`);
    const volume = join(place.volumes, 'work/private.img');
    writeFileSync(volume, 'x'.repeat(100_000));
    writeFileSync(join(place.volumes, AWKWARD.replaceAll('/', '-')), 'y'.repeat(1000));
    await place.init();
    sessions = [await place.send()];
    writeFileSync(volume, 'z'.repeat(100_000));
    sessions.push(await place.send());
    await place.json('tag', 'work/private.img', '--session', sessions[0]!, '--add', '</td><b>bold');
  });

  it('has every session, its proof, and what pruning would free', async () => {
    const report = (await place.json('report')) as ReportDocument;
    const work = report.volumes.find(({ name }) => name === 'work/private.img');
    assert.deepEqual(
      work?.sessions.map(({ session, kind, prunable }) => [session, kind, prunable]),
      [
        [sessions[0], 'full', true],
        [sessions[1], 'incremental', false],
      ],
    );
    assert.equal(work.proven.sample?.session, sessions[1]);
    const { freedBytes } = (await place.json('prune', '--dry-run')) as { freedBytes: number };
    assert.ok(freedBytes > 0);
    assert.equal(report.freedBytes, freedBytes);
    assert.ok(report.space.freeBytes > 0 && report.space.totalBytes > report.space.freeBytes);
  });

  it('writes a page that is complete or not there, and replaces no file unasked', async (t) => {
    const folder = scratchFor(t);
    const page = join(folder, 'report.html');
    const ran = await place.run('report', '--html', page);
    assert.deepEqual([ran.status, ran.stdout], [0, `The report is in ${page}.\n`]);
    const text = readFileSync(page, 'utf8');
    assert.ok(text.endsWith('</html>\n') && text.includes(sessions[1]!));
    assert.deepEqual(readdirSync(folder), ['report.html']);
    const again = await place.run('report', '--html', page);
    assert.equal(again.status, 2);
    assert.match(again.stderr, /exists already\n {2}→ .*--force/);
    const { ino } = statSync(page);
    assert.equal((await place.run('report', '--html', page, '--force')).status, 0);
    assert.notEqual(statSync(page).ino, ino, 'replaced as a whole');
    // A symbolic link is replaced, and what it leads to is left alone.
    writeFileSync(join(folder, 'other'), 'other');
    symlinkSync('other', join(folder, 'link.html'));
    assert.equal((await place.run('report', '--html', join(folder, 'link.html'), '--force')).status, 0);
    assert.equal(readFileSync(join(folder, 'other'), 'utf8'), 'other');
    const nowhere = await place.run('report', '--html', join(folder, 'none/report.html'));
    assert.equal(nowhere.status, 2);
    assert.equal((await place.run('report')).status, 2);
  });

  it('shows names as they are, and has no script and no link', async (t) => {
    const page = join(scratchFor(t), 'report.html');
    assert.equal((await place.run('report', '--html', page)).status, 0);
    const text = readFileSync(page, 'utf8');
    assert.ok(text.includes('&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;\\u{202e}\\u{a}.img'));
    assert.ok(text.includes('&lt;/td&gt;&lt;b&gt;bold'));
    assert.doesNotMatch(text, /<(script|img|link|a|iframe|object|base)\b|\bstyle=|https?:/);
  });
});

/** What the browser made of the page: it is in a frame of a phone's width, in a page that measures it. */
interface Seen {
  readonly width: number;
  readonly card: string;
  readonly body: string;
  readonly titles: number;
  readonly scripts: number;
}

function seen(t: TestContext, page: string, options: readonly string[] = []): Seen {
  const folder = scratchFor(t);
  mkdirSync(join(folder, 'pages'));
  writeFileSync(join(folder, 'pages/report.html'), page);
  const measure = `
    const { contentDocument: page, contentWindow: view } = document.querySelector('iframe');
    document.title = JSON.stringify({
      width: page.documentElement.scrollWidth,
      card: view.getComputedStyle(page.querySelector('.card')).backgroundColor,
      body: view.getComputedStyle(page.body).backgroundColor,
      titles: page.querySelectorAll('svg title').length,
      scripts: page.scripts.length,
    });`;
  const frame = '<iframe src="pages/report.html" width="360" height="800" style="border: 0"></iframe>';
  writeFileSync(
    join(folder, 'frame.html'),
    `<!doctype html><title></title>${frame}<script>onload = () => {${measure}}</script>`,
  );
  const shown = browse(join(folder, 'frame.html'), ['--allow-file-access-from-files', ...options, '--dump-dom']);
  return JSON.parse(/<title>(.*?)<\/title>/s.exec(shown)?.[1] ?? '') as Seen;
}

describe('the page of a report in a browser', { skip: browserSkip }, () => {
  it('has its style under its own policy, fits a phone, and is dark where the user wants that', (t) => {
    const page = pageOf(sampleReport());
    const light = seen(t, page);
    assert.ok(light.width <= 360, `${light.width} pixels wide`);
    assert.deepEqual([light.card, light.scripts], ['rgb(255, 255, 255)', 0]);
    assert.ok(light.titles > 400, `${light.titles} days and sessions`);
    const dark = seen(t, page, [DARK]);
    assert.notEqual(dark.body, light.body);
    assert.notEqual(dark.card, light.card);
  });

  it('takes a style only with the hash in its policy', (t) => {
    const page = pageOf(sampleReport()).replace('--card: #fff', '--card: #ffe');
    assert.equal(seen(t, page).card, 'rgba(0, 0, 0, 0)');
  });

  it('is the one whose picture the README shows, and that is small', () => {
    const picture = join(import.meta.dirname, '../../docs/pictures/report.png');
    assert.ok(statSync(picture).size < 200 * 1024);
    assert.ok(readFileSync(join(dirname(picture), '../../README.md'), 'utf8').includes('docs/pictures/report.png'));
  });
});
