/**
 * Extents as `filefrag -v -s -b1` of e2fsprogs prints them: all numbers in bytes, one section for each file.
 *
 *     Filesystem type is: 58465342
 *     File size of /proc/self/fd/3 is 8192 (8192 blocks of 1 bytes)
 *      ext:     logical_offset:        physical_offset: length:   expected: flags:
 *        0:        0..    4095:      98304..    102399:   4096:             shared
 *        1:     4096..    8191:     106496..    110591:   4096:     102400: last,shared,eof
 *     /proc/self/fd/3: 2 extents found
 *
 * Exactly this is accepted, and everything else refused: a wrong listing would lose data, a refused one costs only
 * time. filefrag falls back to another call if the first fails half-way, and then the end line does not match; the same
 * applies if a file with blocks is listed without any extent.
 */
import type { FileHandle } from 'node:fs/promises';
import { SparsebakError } from '../../shared/errors.ts';
import { Agreement, DOUBTFUL, ExtentJoiner, ExtentList, MAX_EXTENTS, type ExtentSink } from './extents.ts';
import { readLines } from '../process/run-program.ts';

/** Btrfs looks up which files share each extent, which takes long if there are many copies. */
const MAX_SILENCE = 300_000;

/** Flags that say nothing about the content. `eof` is filefrag's own. */
const INNOCENT: ReadonlySet<string> = new Set(['last', 'shared', 'merged', 'eof']);

const TYPE_LINE = /^Filesystem type is: [0-9a-f]+$/;
const SIZE_LINE = /^File size of (.+) is (\d+) \((\d+) blocks? of 1 bytes\)$/;
const HEADER_LINE = /^ ext: +logical_offset: +physical_offset: length: +expected: flags:$/;
const EXTENT_LINE =
  /^ *(\d+): +(\d+)\.\. *(\d+): +(\d+)\.\. *(\d+): +(\d+): +(?:\d+:)? *((?:[a-z_]+|0x[0-9a-f]+)(?:,(?:[a-z_]+|0x[0-9a-f]+))*)?$/;
const END_LINE = /^(.+): (\d+) extents? found$/;

/** One file to list: what is known of it in advance, and the sink for its extents. */
export interface Listed {
  /** The name passed to filefrag. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Whether the file has any blocks at all. */
  readonly hasBlocks: boolean;
  readonly sink: ExtentSink;
}

type Expected = 'section' | 'size' | 'header' | 'extent';

/** Reads the lines of one run; call `end` after the last. */
export class ListingParser {
  readonly #files: readonly Listed[];
  #expected: Expected = 'section';
  #file = 0;
  #rows = 0;
  #end = 0;
  #last = false;
  #joiner: ExtentJoiner | undefined;

  constructor(files: readonly Listed[]) {
    this.#files = files;
  }

  line(line: string): void {
    const file = this.#files[this.#file];
    if (file === undefined) throw strange(line, 'after the last file');
    switch (this.#expected) {
      case 'section':
        if (TYPE_LINE.test(line)) this.#expected = 'size';
        else this.#size(line, file);
        return;
      case 'size':
        this.#size(line, file);
        return;
      case 'header':
        if (HEADER_LINE.test(line)) this.#expected = 'extent';
        else this.#endLine(line, file);
        return;
      case 'extent':
        if (EXTENT_LINE.test(line)) this.#extent(line);
        else this.#endLine(line, file);
    }
  }

  end(): void {
    if (this.#file !== this.#files.length || this.#expected !== 'section') {
      throw new SparsebakError('source', 'filefrag: the listing has no end');
    }
  }

  #size(line: string, file: Listed): void {
    const [, name, size] = SIZE_LINE.exec(line) ?? [];
    if (name !== file.name) throw strange(line, `where ${file.name} should begin`);
    if (size !== String(file.size)) throw strange(line, `for a file of ${String(file.size)} bytes`);
    this.#joiner = new ExtentJoiner(file.sink, file.size);
    this.#rows = 0;
    this.#end = 0;
    this.#last = false;
    this.#expected = 'header';
  }

  #extent(line: string): void {
    const [, ...texts] = EXTENT_LINE.exec(line) ?? [];
    const [index = NaN, start = NaN, stop = NaN, physical = NaN, physicalStop = NaN, length = NaN] = texts.map(Number);
    const flags = (texts[6] ?? '').split(',').filter((flag) => flag !== '');
    const known = !flags.includes('unknown_loc');
    const span = stop - start + 1;
    if (![index, stop + 1, physical, physicalStop + 1].every(Number.isSafeInteger)) throw strange(line, 'beyond 2^53');
    // An extent at an unknown address has no length in the listing, but it has a range.
    const fits = known ? length === span && physicalStop - physical + 1 === span : length === 0;
    if (!fits || span <= 0 || index !== this.#rows || start < this.#end || this.#last)
      throw strange(line, 'out of place');
    this.#rows += 1;
    this.#end = stop + 1;
    this.#last = flags.includes('last');
    const telling = flags.filter((flag) => !INNOCENT.has(flag));
    if (telling.length === 1 && telling[0] === 'unwritten') return;
    this.#joiner?.extent(start, span, telling.length === 0 ? physical : DOUBTFUL);
  }

  #endLine(line: string, file: Listed): void {
    const [, name, fragments] = END_LINE.exec(line) ?? [];
    if (name !== file.name) throw strange(line, `within ${file.name}`);
    if ((this.#rows === 0) !== (Number(fragments) === 0)) throw strange(line, `after ${String(this.#rows)} extents`);
    if (this.#rows > 0 && !this.#last) throw strange(line, 'and the last extent is missing');
    if (this.#rows === 0 && file.hasBlocks) throw strange(line, 'for a file that has blocks');
    this.#joiner?.end();
    this.#file += 1;
    this.#expected = 'section';
  }
}

function strange(line: string, where: string): SparsebakError {
  return new SparsebakError('source', `filefrag: unexpected output ${where}: ${JSON.stringify(line.slice(0, 200))}`);
}

/**
 * The extents of open files, each read twice in turn (a, b, a, b); nothing if a file's two readings are not the same.
 */
export async function readExtentsTwice(handles: readonly FileHandle[]): Promise<ExtentList[] | undefined> {
  const [extents] = await readGroupsTwice([handles]);
  return extents;
}

/** The same for many separate groups of files, in one process: starting one costs more than listing a small file. */
export async function readGroupsTwice(
  groups: readonly (readonly FileHandle[])[],
): Promise<(ExtentList[] | undefined)[]> {
  // All groups together take no more memory than one of them may.
  const room = { extents: MAX_EXTENTS * Math.max(0, ...groups.map((handles) => handles.length)) };
  const files: FileHandle[] = [];
  const listed: Listed[] = [];
  const readings = [];
  for (const handles of groups) {
    const lists = handles.map(() => new ExtentList(room));
    const agreements = lists.map((list) => new Agreement(list));
    const names = handles.map((handle) => `/proc/self/fd/${String(2 + files.push(handle))}`);
    const stats = await Promise.all(handles.map((handle) => handle.stat()));
    for (const sinks of [lists, agreements]) {
      for (const [which, sink] of sinks.entries()) {
        const { size, blocks } = stats[which] ?? { size: 0, blocks: 0 };
        listed.push({ name: names[which] ?? '', size, hasBlocks: blocks > 0, sink });
      }
    }
    readings.push({ lists, agreements });
  }
  const parser = new ListingParser(listed);
  const args = ['-v', '-s', '-b1', ...listed.map(({ name }) => name)];
  const descriptors = files.map(({ fd }) => fd);
  await readLines('filefrag', args, descriptors, MAX_SILENCE, (line) => {
    parser.line(line);
  });
  parser.end();
  return readings.map(({ lists, agreements }) => (agreements.every(({ agrees }) => agrees) ? lists : undefined));
}
