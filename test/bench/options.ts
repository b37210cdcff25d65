/** The command line of `npm run bench`. */
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';

/** Something that the user has to change before anything can be measured. */
export class Refusal extends Error {}

export type Mode =
  | { readonly kind: 'plain' }
  | { readonly kind: 'peers'; readonly wyng: string | undefined }
  | { readonly kind: 'against'; readonly revision: string }
  | { readonly kind: 'scale'; readonly chunks: number };

export interface Options {
  readonly mode: Mode;
  /** Bytes of the image. */
  readonly size: number;
  readonly runs: number;
  readonly json: boolean;
}

const GIB = 2 ** 30;

/** GiB of the image, and runs. */
const DEFAULTS = {
  plain: { size: 4, runs: 3 },
  peers: { size: 2, runs: 3 },
  against: { size: 2, runs: 6 },
  scale: { size: 0.25, runs: 1 },
};

/** Chunks of --scale. */
const MANY = 200_000;

export const HELP = `usage: npm run bench -- [OPTION…]

Measures the built programs with a local archive on Btrfs on a loop device. Needs root.

  --peers         the same operations with borg and restic, one tool after another. A tool that is missing
                  is installed (as root on Debian-like systems, unless SPARSEBAK_NO_APT is set) or left out by name
  --wyng FILE     with --peers: Wyng, too. FILE is its script
  --against REV   these sources against those of a git revision, in alternating order
  --scale         an image of many chunks with little in each, beside a plain loop over as many files
  --chunks N      with --scale: how many (default ${MANY})
  --size GIB      of the image (default ${DEFAULTS.plain.size}; with --peers and --against ${DEFAULTS.peers.size})
  --runs N        how often everything is measured (default ${DEFAULTS.plain.runs}; with --against ${DEFAULTS.against.runs})
  --json          prints everything that was measured, of each run, as JSON
  --help          this text

SPARSEBAK_TEST_DIR is the folder to work in (default: the system's temporary folder).

examples:
  npm run bench
  npm run bench -- --peers --size 0.5 --runs 1
  npm run bench -- --peers --wyng ~/wyng-backup/src/wyng
  npm run bench -- --against HEAD~5
  npm run bench -- --scale --chunks 1000000
  npm run bench -- --against v0.1.0 --json > against.json
`;

/** @returns 'help' if that was asked for @throws {Refusal} */
export function parseOptions(args: readonly string[]): Options | 'help' {
  const values = parsed(args);
  if (values.help === true) return 'help';
  const mode = modeOf(values);
  const defaults = DEFAULTS[mode.kind];
  const gib = numberOf('--size', values.size, defaults.size);
  if (gib < 0.25 || gib > 1024) throw new Refusal(`--size ${gib}: from 0.25 to 1024 GiB`);
  const runs = numberOf('--runs', values.runs, defaults.runs);
  if (!Number.isInteger(runs) || runs < 1) throw new Refusal(`--runs ${runs}: a whole number from 1`);
  return { mode, size: Math.round((gib * GIB) / 4096) * 4096, runs, json: values.json === true };
}

function parsed(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        peers: { type: 'boolean' },
        wyng: { type: 'string' },
        against: { type: 'string' },
        scale: { type: 'boolean' },
        chunks: { type: 'string' },
        size: { type: 'string' },
        runs: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    return values;
  } catch (error) {
    // The rest of Node's own text is about positional arguments, which there are none of.
    const message = error instanceof Error ? error.message : String(error);
    throw new Refusal(`${message.split(/\. |\n/)[0] ?? message} (see npm run bench -- --help)`, { cause: error });
  }
}

interface ModeOptions {
  readonly peers?: boolean;
  readonly wyng?: string;
  readonly against?: string;
  readonly scale?: boolean;
  readonly chunks?: string;
}

function modeOf(values: ModeOptions): Mode {
  if (values.scale === true) return scaleOf(values);
  if (values.chunks !== undefined) throw new Refusal('--chunks is for --scale');
  if (values.against !== undefined) {
    if (values.peers === true) throw new Refusal('--peers and --against are two benchmarks: run one after the other');
    if (values.against === '') throw new Refusal('--against needs a git revision, such as HEAD~5');
    return { kind: 'against', revision: values.against };
  }
  if (values.peers === true) {
    const { wyng } = values;
    if (wyng !== undefined && !existsSync(wyng)) throw new Refusal(`--wyng ${wyng}: there is no such file`);
    return { kind: 'peers', wyng };
  }
  if (values.wyng !== undefined) throw new Refusal('--wyng is for --peers');
  return { kind: 'plain' };
}

function scaleOf({ peers, wyng, against, chunks: text }: ModeOptions): Mode {
  if (peers === true || wyng !== undefined || against !== undefined) {
    throw new Refusal('--scale is a benchmark of its own: run one after the other');
  }
  const chunks = numberOf('--chunks', text, MANY);
  if (!Number.isInteger(chunks) || chunks < 1000) throw new Refusal(`--chunks ${chunks}: a whole number from 1000`);
  return { kind: 'scale', chunks };
}

function numberOf(option: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  if (!/^\d+(\.\d+)?$/.test(text)) throw new Refusal(`${option} ${text}: not a number`);
  return Number(text);
}
