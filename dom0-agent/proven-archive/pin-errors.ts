/** The errors for an archive that does not show the catalogue that this dom0 knows, and their hints. */
import { SparsebakError } from '../../shared/errors.ts';
import type { Catalogue } from '../content/catalogue.ts';
import type { Succession } from './succession.ts';

/** The hint for an archive that is older than this dom0 knows it. */
export const ROLLBACK_HINT =
  'If you restored the backup disk from a copy, send with --accept-rollback; otherwise do not trust the backup ' +
  'VM until you know why.';

export function rolledBack(shown: number, known: number): SparsebakError {
  return new SparsebakError(
    'rollback',
    `the archive shows catalogue ${shown}, but this computer knows ${known}: the archive was rolled back`,
    { hint: ROLLBACK_HINT },
  );
}

/** @param known the newest catalogue that this dom0 knows */
export function forked(
  known: Catalogue,
  shown: Catalogue,
  { after }: Extract<Succession, { kind: 'forked' }>,
  me: string,
): SparsebakError {
  const by = (writer: string) => (writer === me ? 'this computer' : `the computer ${writer.slice(0, 8)}`);
  const left =
    after === undefined
      ? `it does not say that it took over from ${by(known.writer)}`
      : `it took over from ${by(after.writer)} at catalogue ${after.sequence}`;
  return new SparsebakError(
    'fork',
    'two computers wrote to this archive: this computer knows catalogue ' +
      `${known.sequence}, written by ${by(known.writer)}; ` +
      `the archive shows catalogue ${shown.sequence}, written by ${by(shown.writer)}, and ${left}`,
    {
      hint:
        'Compare what "sparsebak key list" shows on both computers. If the other computer shall continue, run ' +
        '"sparsebak key unlock --again" here; ' +
        'if this one shall, "sparsebak adopt --accept-rollback". If only one computer ever wrote, do not trust the ' +
        'backup VM.',
    },
  );
}

/** The pin's own file is missing: only the user can say whether the archive is the newest. */
export function pinLost(): SparsebakError {
  return new SparsebakError(
    'rollback',
    'this computer lost its own catalogue of this archive, so it cannot detect a rollback',
    {
      hint:
        'Run "sparsebak-receiver list" in the backup VM to see what there is; if nothing is missing, send with ' +
        '--accept-rollback.',
    },
  );
}

/**
 * The archive's catalogue is missing, unreadable, or not one that dom0 made.
 * @param puts whether this dom0 is the writer, and so has the catalogue to put back
 */
export function catalogueDamaged(fault: SparsebakError, puts: boolean): SparsebakError {
  return new SparsebakError('integrity', `the archive's catalogue is damaged or missing: ${fault.message}`, {
    hint: puts
      ? 'The next "sparsebak send" puts it back, from the copy that this computer has.'
      : 'The next "sparsebak send" of the computer that writes to the archive puts it back. If that computer is ' +
        'gone, put back an earlier one that the backup VM kept: see docs/damage.md.',
    cause: fault,
  });
}
