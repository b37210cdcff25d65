/** The order in which qubes are created: each after its template. Pure. */
import type { Settings } from '../../../qubes/settings.ts';

export interface Candidate {
  readonly qube: string;
  readonly document: Settings;
  /** The template that it will have; null: a class without one. */
  readonly template: string | null;
}

export interface Ordered {
  readonly qubes: readonly Candidate[];
  /** Those that cannot be created, and why. */
  readonly without: readonly { readonly qube: string; readonly template: string; readonly why: Obstacle }[];
}

/** `missing`: neither here nor restored; `loop`: it depends on itself; `left`: its template cannot be created. */
export type Obstacle = 'missing' | 'loop' | 'left' | 'not for disposables';

/**
 * @param isHere whether a qube of this name is here, and can be the template
 * @param servesDisposables whether a qube that is here has template_for_dispvms
 */
export function orderOf(
  candidates: readonly Candidate[],
  isHere: (name: string) => boolean,
  servesDisposables: (name: string) => boolean,
): Ordered {
  const waiting = new Map(candidates.toSorted(byRank).map((each) => [each.qube, each]));
  const placed: Candidate[] = [];
  const without: { qube: string; template: string; why: Obstacle }[] = [];
  const isPlaced = (name: string): boolean => placed.some(({ qube }) => qube === name);
  for (let progress = true; progress;) {
    progress = false;
    for (const each of waiting.values()) {
      const { qube, template, document } = each;
      if (template !== null && !isHere(template) && !isPlaced(template)) continue;
      waiting.delete(qube);
      progress = true;
      const own = placed.find((other) => other.qube === template);
      const serves = own === undefined ? template === null || servesDisposables(template) : isForDisposables(own);
      if (document.class === 'DispVM' && template !== null && !serves) {
        without.push({ qube, template, why: 'not for disposables' });
      } else placed.push(each);
    }
  }
  for (const { qube, template } of waiting.values()) {
    if (template !== null) without.push({ qube, template, why: obstacleOf(qube, template, waiting, without) });
  }
  return { qubes: placed.toSorted(byRank).sort(afterTemplate(placed)), without };
}

function obstacleOf(
  qube: string,
  template: string,
  waiting: ReadonlyMap<string, Candidate>,
  without: Ordered['without'],
): Obstacle {
  if (!waiting.has(template)) return without.some((each) => each.qube === template) ? 'left' : 'missing';
  const seen = new Set<string>();
  for (let next: string | null = template; next !== null && !seen.has(next);) {
    if (next === qube) return 'loop';
    seen.add(next);
    next = waiting.get(next)?.template ?? null;
  }
  return 'left';
}

function isForDisposables({ document }: Candidate): boolean {
  return document.properties.template_for_dispvms?.value === 'True';
}

function rankOf(each: Candidate): number {
  if (each.document.class === 'TemplateVM') return 0;
  if (each.document.class === 'DispVM') return 3;
  return isForDisposables(each) ? 1 : 2;
}

function byRank(a: Candidate, b: Candidate): number {
  return rankOf(a) - rankOf(b) || (a.qube < b.qube ? -1 : 1);
}

/** A stable sort by how many templates of this restore are above each. */
function afterTemplate(placed: readonly Candidate[]): (a: Candidate, b: Candidate) => number {
  const templates = new Map(placed.map(({ qube, template }) => [qube, template]));
  const depth = (name: string | null | undefined): number =>
    name === null || name === undefined || !templates.has(name) ? 0 : 1 + depth(templates.get(name));
  return (a, b) => rankOf(a) - rankOf(b) || depth(a.qube) - depth(b.qube);
}
