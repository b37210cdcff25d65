// In the place of receiver-process.ts: the receiver of a `local:` destination, in the agent's own process.

import { pino } from 'pino';
import type { Link } from '../../../dom0-agent/link/link.ts';
import type { ProcessLinkOptions } from '../../../dom0-agent/process/receiver-process.ts';
import { RELEASE } from '../../../shared/release.ts';
import { openStore } from '../../../vm-receiver/cli/open-store.ts';
import { loadSettings } from '../../../vm-receiver/cli/settings.ts';
import { callInProcess } from '../../fixtures/in-process-receiver.ts';

export function openProcessLink({ name, args, explain }: ProcessLinkOptions): Promise<Link> {
  const log = pino({ level: 'warn' }, pino.destination({ dest: 2, sync: true }));
  const settings = loadSettings({ root: args.at(-1), archive: undefined, config: undefined });
  const service = { store: openStore(settings), release: RELEASE, refusal: undefined, refuse: () => undefined };
  return Promise.resolve(callInProcess({ name, service, grant: 'all', log, explain }));
}
