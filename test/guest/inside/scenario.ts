// What runs in the guest: scenarios one after another, each with what it has to clean up.

export interface Scenario {
  readonly name: string;
  readonly run: (context: ScenarioContext) => Promise<void>;
}

export class ScenarioContext {
  readonly #cleanUps: (() => Promise<void> | void)[] = [];

  /** Runs at the end, last first, also after a failure. */
  after(cleanUp: () => Promise<void> | void): void {
    this.#cleanUps.push(cleanUp);
  }

  note(text: string): void {
    write(text.replaceAll(/^/gm, '# '));
  }

  async end(): Promise<void> {
    for (const cleanUp of this.#cleanUps.reverse()) await cleanUp();
  }
}

function write(line: string): void {
  process.stdout.write(`${line}\n`);
}

const SECONDS = 150;

/** Reports each as it ends: notes as `# …`, then `ok 3 - name # 1.2 s` or `not ok …`; at last the number of scenarios. */
export async function runScenarios(all: readonly Scenario[], only: RegExp): Promise<number> {
  const chosen = all.filter(({ name }) => only.test(name));
  let failures = 0;
  for (const [index, { name, run }] of chosen.entries()) {
    const context = new ScenarioContext();
    const began = Date.now();
    let error: unknown;
    try {
      await withinTime(run(context));
    } catch (caught) {
      error = caught;
    }
    try {
      await context.end();
    } catch (caught) {
      error ??= caught;
    }
    const title = `ok ${index + 1} - ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`;
    if (error !== undefined) {
      failures += 1;
      context.note(describe(error));
    }
    write(error === undefined ? title : `not ${title}`);
    if (error === TIMED_OUT) break;
  }
  write(`1..${chosen.length}`);
  return failures === 0 ? 0 : 1;
}

const TIMED_OUT = new Error(
  `not done after ${SECONDS} s; what it left running would disturb the others, so they are left out`,
);

async function withinTime(work: Promise<void>): Promise<void> {
  let clock: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    clock = setTimeout(() => reject(TIMED_OUT), SECONDS * 1000);
  });
  await Promise.race([work, limit]).finally(() => clearTimeout(clock));
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\ncaused by ${describe(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
