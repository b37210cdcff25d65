/** The report as one HTML page: no script, nothing loaded, every name escaped. */
import { hash } from 'node:crypto';
import { RELEASE } from '../../../shared/release.ts';
import { formatBytes } from '../../../shared/terminal/sizes.ts';
import { calendar } from './calendar.ts';
import type { ReportDocument, ReportedSession, ReportedVolume } from './document.ts';
import { growth } from './growth.ts';
import { Html, markup, type Piece } from './html.ts';
import { STYLE } from './style.ts';

/** Rows of a volume's table: the newest sessions. */
const MOST_ROWS = 200;

export function pageOf(report: ReportDocument): string {
  // The browser runs no script at all, and takes no style but this one.
  const style = `'sha256-${hash('sha256', STYLE, 'base64')}'`;
  const policy = `default-src 'none'; style-src ${style}; base-uri 'none'; form-action 'none'`;
  const title = `Backups of ${report.archive}`;
  const page = markup`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${policy}" />
        <meta name="referrer" content="no-referrer" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <style>${new Html(STYLE)}</style>
      </head>
      <body>
        <h1>${title}</h1>
        <p class="dim">
          ${minute(report.time)} UTC · catalogue ${report.sequence} ·
          ${report.encrypted ? 'encrypted' : 'not encrypted'}
        </p>
        ${alerts(report.volumes)} ${tiles(report)}
        <div class="cards">${report.volumes.map((volume) => card(volume, Date.parse(report.time)))}</div>
        <footer>
          <p>
            Calendar: a column is a week, a row a day from Monday; the darker, the more changed. Bars: what each session
            takes on the backup disk, logarithmic${report.freedBytes === null ? '' : '; yellow ones would be pruned'}.
            Line: all sessions together. Times are UTC.
          </p>
          <p>
            Sizes on the backup disk are what the receiver says; everything else is signed and verified. sparsebak
            ${RELEASE}, archive ${report.id}.
          </p>
        </footer>
      </body>
    </html>
`;
  return page.text;
}

function alerts(volumes: readonly ReportedVolume[]): Html {
  const lines = volumes.flatMap(({ name, overdue, error, sent, proven }) => [
    ...(error === undefined ? [] : [markup`<li><b>${name}</b>: ${error.message}. ${error.hint ?? ''}</li>`]),
    ...overdue.map((what) =>
      what === 'send'
        ? markup`<li><b>${name}</b> was last sent on ${day(sent)}</li>`
        : markup`<li>
            <b>${name}</b> was
            ${newestProof({ proven }) === null ? 'never proven' : `last proven on ${day(newestProof({ proven }))}`}
          </li>`,
    ),
  ]);
  if (lines.length === 0) return markup`<p class="good">✓ Nothing is overdue or damaged.</p>`;
  return markup`<div class="alert" role="alert">
    <b class="bad">Needs attention</b>
    <ul>
      ${lines}
    </ul>
  </div>`;
}

function tiles({ volumes, space, freedBytes, dedup, codec }: ReportDocument): Html {
  const sessions = volumes.flatMap((volume) => volume.sessions);
  const how = `${codec === 'none' ? 'not compressed' : codec}${dedup ? ', deduplicated' : ''}`;
  const stored = sumOf(sessions, 'storedBytes');
  const changed = sumOf(sessions, 'changedBytes');
  const protectedSize = volumes.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return markup`<div class="tiles">
    ${tile(String(volumes.length), `volumes of ${formatBytes(protectedSize)}`)}
    ${tile(String(sessions.length), 'sessions')}
    ${tile(formatBytes(stored), `stored for ${formatBytes(changed)} of changes`)}
    ${tile(ratio(changed, stored), `of the changes: ${how}`)}
    ${tile(formatBytes(space.freeBytes), `free of ${formatBytes(space.totalBytes)}`)}
    ${freedBytes === null ? undefined : tile(formatBytes(freedBytes), 'freed by pruning now')}
  </div>`;
}

function tile(value: string, about: string): Html {
  return markup`<div class="tile"><b>${value}</b><span class="dim">${about}</span></div>`;
}

function card(volume: ReportedVolume, now: number): Html {
  const { name, sizeBytes, sessions, freedBytes, error, overdue } = volume;
  const newest = sessions.at(-1);
  const bad = error !== undefined || overdue.length > 0;
  const facts: Piece[] = [
    `${formatBytes(sizeBytes)}, ${sessions.length} ${sessions.length === 1 ? 'session' : 'sessions'}`,
    newest === undefined ? ', none can be read' : `, newest ${minute(newest.time)}`,
    newest?.state === 'running' ? ' (running)' : '',
  ];
  const stored = sumOf(sessions, 'storedBytes');
  const freed = freedBytes === null ? '' : `; pruning frees ${formatBytes(freedBytes)}`;
  return markup`<section class="card">
    <h2 class="${bad ? 'bad' : ''}">${name}</h2>
    <p class="dim">${facts}</p>
    <p>${proofOf(volume)}</p>
    ${calendar(sessions, now)} ${growth(sessions)}
    <p class="dim">
      ${formatBytes(stored)} stored, ${ratio(sumOf(sessions, 'changedBytes'), stored)} of the changes${freed}
    </p>
    <details>
      <summary>Sessions</summary>
      ${table(sessions)}
    </details>
  </section> `;
}

function proofOf({ proven: { whole, sample }, sessions }: ReportedVolume): Html {
  const newest = sessions.at(-1)?.session;
  const of = (session: string) => (session === newest ? 'the newest session' : session);
  const lines = [
    ...(whole === null ? [] : [`all chunks of ${of(whole.session)} on ${day(whole.time)}`]),
    ...(sample === null ? [] : [`${sample.chunks} chunks of ${of(sample.session)} on ${day(sample.time)}`]),
  ];
  if (lines.length === 0) return markup`<span class="bad">Never proven.</span>`;
  return markup`<span class="good">✓</span> Proven: ${lines.join('; ')}.`;
}

function newestProof({ proven: { whole, sample } }: Pick<ReportedVolume, 'proven'>): string | null {
  const times = [whole, sample].flatMap((proof) => (proof === null ? [] : [proof.time]));
  return times.sort().at(-1) ?? null;
}

function table(sessions: readonly ReportedSession[]): Html {
  const shown = sessions.slice(-MOST_ROWS).toReversed();
  const rows = shown.map(
    ({ session, kind, changedBytes, storedBytes, tags, prunable }) =>
      markup`<tr class="${prunable ? 'going' : ''}">
        <td>${session}</td>
        <td>${kind}</td>
        <td class="n">${formatBytes(changedBytes)}</td>
        <td class="n">${formatBytes(storedBytes)}</td>
        <td>${tags.join(', ')}</td>
      </tr> `,
  );
  const more = sessions.length - shown.length;
  return markup`<div class="scroll">
    <table>
      <tr>
        <th>Session</th>
        <th>Kind</th>
        <th class="n">Changed</th>
        <th class="n">Stored</th>
        <th>Tags</th>
      </tr>
      ${rows}
    </table>
    ${more > 0 ? markup`<p class="dim">and ${more} older ones: see “sparsebak list”</p>` : undefined}
  </div>`;
}

function sumOf(sessions: readonly ReportedSession[], field: 'storedBytes' | 'changedBytes'): number {
  return sessions.reduce((sum, session) => sum + session[field], 0);
}

/** What compression, deduplication and chunks of zeros save. */
function ratio(changed: number, stored: number): string {
  return stored === 0 || changed === 0 ? '–' : `${((100 * stored) / changed).toFixed(0)} %`;
}

function day(time: string | null): string {
  return time === null ? 'an unknown day' : time.slice(0, 10);
}

function minute(time: string): string {
  return time.slice(0, 16).replace('T', ' ');
}
