// Makes docs/pictures/report.png anew: SEED=1 node test/report/picture.ts

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pageOf } from '../../dom0-agent/families/report/page.ts';
import { makeScratch, sweepScratch } from '../fixtures/scratch.ts';
import { browse } from './browser.ts';
import { sampleReport } from './sample.ts';

const page = join(makeScratch('picture'), 'report.html');
writeFileSync(page, pageOf(sampleReport()));
const to = join(import.meta.dirname, '../../docs/pictures/report.png');
browse(page, ['--window-size=1100,720', '--hide-scrollbars', `--screenshot=${to}`]);
sweepScratch();
console.log(to);
