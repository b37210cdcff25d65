// The programs that the agent starts, each behind a script that writes the call down, and may kill who called.

import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PROGRAMS = [
  ...['lvm', 'lvs', 'lvcreate', 'lvchange', 'lvremove', 'lvrename'],
  ...['dmsetup', 'thin_delta', 'thin_dump', 'flock'],
];

/** Which call is the caller's last: counted from 1 on, or the first whose words contain a text. */
export type KillAt = { readonly when: 'before' | 'after' } & (
  { readonly call: number } | { readonly containing: string }
);

const SCRIPT = `#!/bin/sh
# How many snapshots are active when a program is started is written down, too.
active=0
for device in /dev/mapper/*-vm--sparsebak--*; do [ -e "$device" ] && active=$((active + 1)); done
echo "$active PROGRAM $*" >> "$CALLS"
number=$(wc -l < "$CALLS")
hit=
[ "$number" = "$KILL_CALL" ] && hit=1
[ -n "$KILL_TEXT" ] && case "PROGRAM $*" in *"$KILL_TEXT"*) hit=1 ;; esac
if [ -n "$hit" ] && [ "$KILL_WHEN" = before ]; then
  kill -9 $PPID
  exit 1
fi
/usr/sbin/PROGRAM "$@"
status=$?
[ -n "$hit" ] && kill -9 $PPID
exit $status
`;

export interface Call {
  /** Snapshots of ours that were active. */
  readonly active: number;
  readonly words: string;
}

export class Wrappers {
  readonly #folder: string;
  readonly #calls: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.#calls = join(folder, 'calls');
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    for (const program of PROGRAMS) {
      writeFileSync(join(folder, program), SCRIPT.replaceAll('PROGRAM', program));
      chmodSync(join(folder, program), 0o755);
    }
  }

  /** The environment for the agent; begins a new list of calls. */
  environment(kill?: KillAt): NodeJS.ProcessEnv {
    writeFileSync(this.#calls, '');
    return {
      PATH: `${this.#folder}:${process.env.PATH ?? ''}`,
      CALLS: this.#calls,
      KILL_WHEN: kill?.when ?? '',
      KILL_CALL: kill !== undefined && 'call' in kill ? String(kill.call) : '',
      KILL_TEXT: kill !== undefined && 'containing' in kill ? kill.containing : '',
    };
  }

  calls(): Call[] {
    const lines = readFileSync(this.#calls, 'utf8').trim().split('\n');
    return lines.map((line) => {
      const [, active = '', words = ''] = /^(\d+) (.*)$/s.exec(line) ?? [];
      return { active: Number(active), words };
    });
  }

  /** Calls by program. */
  counts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { words } of this.calls()) {
      const program = words.split(' ')[0] ?? '';
      counts[program] = (counts[program] ?? 0) + 1;
    }
    return counts;
  }
}
