/** The pools, what each pattern matched, and what was left out with its reason. */
import { asSparsebakError } from '../../../shared/errors.ts';
import type { CommandContext } from '../../cli/command-context.ts';
import { knownToPool } from '../../capture/known-volumes.ts';
import { lookAtPool } from '../../capture/look-at-pool.ts';
import type { Pool } from '../../capture/pools.ts';
import { missingVolume, selectVolumes } from '../../capture/selection.ts';
import { ArchiveState } from '../../proven-archive/archive-state.ts';
import { Pin } from '../../proven-archive/pin.ts';
import { nameMatcher } from '../../source/glob.ts';
import { failedBy, note, ok, type Finding } from '../../../shared/findings.ts';

export async function checkSelection(context: CommandContext): Promise<Finding[]> {
  try {
    const pools = await context.poolsToRead();
    const findings = (await Promise.all(pools.map(checkPool))).flat();
    const inArchives = catalogued(context);
    const known = (pool: Pool) => [...new Set([...knownToPool(pool), ...inArchives])];
    const { volumes, skipped } = await selectVolumes(pools, { names: [], known });
    return [
      ...findings,
      ...skipped.map(({ name, error }) =>
        failedBy('selection', { code: 'source', message: `${name}: ${error.message}`, hint: error.hint }),
      ),
      ...volumes.filter(({ missing }) => missing).map((volume) => failedBy('selection', missingVolume(volume))),
    ];
  } catch (caught) {
    return [failedBy('selection', asSparsebakError(caught))];
  }
}

/** Names of the volumes that the archives have. An archive whose state cannot be read is reported elsewhere. */
function catalogued({ config }: CommandContext): string[] {
  return config.archives.flatMap(({ name }) => {
    try {
      const volumes = new Pin(ArchiveState.open(config.stateDir, name)).current?.catalogue.volumes ?? [];
      const saved = volumes.filter(({ state, session }) => state === 'active' && session !== null);
      return saved.map((volume) => volume.name);
    } catch {
      return [];
    }
  });
}

/** How many volumes each pattern matched. */
async function checkPool(pool: Pool): Promise<Finding[]> {
  const check = `pool ${pool.pool}`;
  const { volumes: patterns, exclude } = pool.config;
  if (patterns.length === 0) return [note(check, 'selects nothing', `Give it volumes = ["…"].`)];
  const look = await lookAtPool(pool);
  // Reported with the volumes that it should have.
  if (look.kind === 'failed') return [];
  const { volumes } = look.found;
  const rules = pool.source.patterns;
  const counts = patterns.map((pattern) => {
    const matches =
      rules === undefined ? nameMatcher([pattern], exclude) : (name: string) => rules.matches(pattern, name);
    return `${pattern}: ${volumes.filter(matches).length}`;
  });
  const left = exclude.length === 0 ? '' : `; excluded: ${exclude.join(', ')}`;
  return [ok(check, `${volumes.length} volumes (${counts.join(', ')}${left})`)];
}
