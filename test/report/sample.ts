// A made-up archive for pictures of the report: half a year of sessions.

import type { ReportDocument, ReportedSession, ReportedVolume } from '../../dom0-agent/families/report/document.ts';
import { Random } from '../fixtures/random.ts';

const DAY = 86_400_000;
const GIB = 2 ** 30;
const NOW = Date.parse('2026-11-23T21:00:00Z');

function sessionName(time: number): string {
  const text = new Date(time).toISOString();
  return `S_${text.slice(0, 10).replaceAll('-', '')}-${text.slice(11, 19).replaceAll(':', '')}`;
}

/** @param every days between two sessions */
function volume(name: string, gib: number, every: number, overdue: ReportedVolume['overdue'] = []): ReportedVolume {
  const random = new Random(name);
  const share = () => random.int(1000) / 1000;
  const sessions: ReportedSession[] = [];
  for (let time = NOW - 150 * DAY; time < NOW - DAY / 24; time += every * DAY * (0.7 + 0.6 * share())) {
    const isFull = sessions.length === 0;
    const changedBytes = Math.round(isFull ? gib * 0.6 * GIB : (5 + share() ** 3 * 400) * 2 ** 20);
    sessions.push({
      ...{ session: sessionName(time), time: new Date(time).toISOString(), changedBytes },
      kind: isFull ? 'full' : 'incremental',
      storedBytes: Math.round(changedBytes * (0.4 + 0.2 * share())),
      tags: sessions.length === 20 ? ['before-upgrade'] : [],
      state: 'stopped',
      prunable: NOW - time > 60 * DAY && sessions.length % 4 !== 0,
    });
  }
  const [first] = sessions;
  const [before, last] = sessions.slice(-2);
  const going = sessions.filter(({ prunable }) => prunable);
  return {
    ...{ name, sizeBytes: gib * GIB, overdue, sessions },
    proven: overdue.includes('verify')
      ? { whole: { session: first!.session, chunks: 4096, time: new Date(NOW - 70 * DAY).toISOString() }, sample: null }
      : {
          whole: { session: before!.session, chunks: 40_960, time: new Date(NOW - 6 * DAY).toISOString() },
          sample: { session: last!.session, chunks: 48, time: last!.time },
        },
    sent: last!.time,
    freedBytes: going.reduce((sum, { storedBytes }) => sum + Math.round(storedBytes * 0.8), 0),
  };
}

export function sampleReport(): ReportDocument {
  const volumes = [
    volume('personal/private.img', 20, 1),
    volume('vault/private.img', 2, 4, ['verify']),
    volume('work/private.img', 40, 1),
  ];
  return {
    ...{ archive: 'laptop', id: '21872955d6ffffb80244c834da1b971f', sequence: 812 },
    ...{ encrypted: true, dedup: false, codec: 'zstd', time: new Date(NOW).toISOString() },
    space: { totalBytes: 931 * GIB, freeBytes: 402 * GIB },
    freedBytes: volumes.reduce((sum, { freedBytes }) => sum + (freedBytes ?? 0), 0),
    volumes,
  };
}
