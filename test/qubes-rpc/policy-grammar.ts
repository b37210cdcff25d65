// qrexec's policy (R4.1 and later) by its documented grammar: what a file may hold, and what it says to a call.
// Anything that the grammar does not have is an error, as it is there, where it makes every call of the system fail.

const FILE_NAME = /^[0-9a-z_.-]+\.policy$/;
const SERVICE = /^[A-Za-z0-9._-]+$/;
const ARGUMENT = /^\+[A-Za-z0-9._+-]*$/;
const VM = /^[A-Za-z][A-Za-z0-9._-]*$/;
const SOURCES = /^(@adminvm|@anyvm|@type:\w+|@tag:[\w-]+|@dispvm:(@tag:)?[\w-]+)$/;
const TARGETS = /^(@adminvm|@anyvm|@default|@dispvm|@type:\w+|@tag:[\w-]+|@dispvm:(@tag:)?[\w-]+)$/;
/** The parameters that each action takes. */
const PARAMETERS: Readonly<Record<string, readonly string[]>> = {
  allow: ['target', 'user', 'notify', 'autostart'],
  ask: ['target', 'default_target', 'user', 'notify', 'autostart'],
  deny: ['notify'],
};

export interface Rule {
  readonly service: string;
  readonly argument: string;
  readonly source: string;
  readonly target: string;
  readonly action: 'allow' | 'ask' | 'deny';
  readonly parameters: Readonly<Record<string, string>>;
}

export interface Qube {
  readonly type: string;
  readonly tags: readonly string[];
}

export interface Call {
  readonly service: string;
  /** Beginning with `+`; `+` alone where there is none. */
  readonly argument: string;
  /** A qube's name, or `@adminvm`. */
  readonly source: string;
  /** As the caller said it: a qube's name, `@adminvm`, `@default`, `@dispvm`, `@dispvm:NAME`. */
  readonly target: string;
}

export interface Verdict {
  readonly action: 'allow' | 'ask' | 'deny';
  readonly notify: boolean;
  /** Undefined where no rule matched, which is a deny. */
  readonly rule: Rule | undefined;
}

/** @throws where the grammar has no such file */
export function readPolicy(name: string, text: string): Rule[] {
  if (!FILE_NAME.test(name)) throw new Error(`no name of a policy: ${name}`);
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map(readRule);
}

function readRule(line: string): Rule {
  const [service = '', argument = '', source = '', target = '', action = '', ...parameters] = line.split(/\s+/);
  const allowed = PARAMETERS[action];
  if (allowed === undefined) throw new Error(`no action: ${line}`);
  if (service !== '*' && !SERVICE.test(service)) throw new Error(`no service: ${line}`);
  if (argument !== '*' && (service === '*' || !ARGUMENT.test(argument))) throw new Error(`no argument: ${line}`);
  if (source !== '*' && !SOURCES.test(source) && !VM.test(source)) throw new Error(`no source: ${line}`);
  if (target !== '*' && !TARGETS.test(target) && !VM.test(target)) throw new Error(`no target: ${line}`);
  const values: Record<string, string> = {};
  for (const parameter of parameters) {
    const [, key = '', value = ''] = /^([a-z_]+)=(.+)$/.exec(parameter) ?? [];
    if (!allowed.includes(key) || key in values) throw new Error(`no parameter: ${line}`);
    if ((key === 'notify' || key === 'autostart') && !/^(yes|no)$/.test(value)) throw new Error(`yes or no: ${line}`);
    values[key] = value;
  }
  if (action === 'allow' && target === '@default' && values.target === undefined)
    throw new Error(`no target=: ${line}`);
  const rule = { service, argument, source: alias(source), target: alias(target), parameters: values };
  return { ...rule, action: action as Rule['action'] };
}

function alias(token: string): string {
  return token === 'dom0' ? '@adminvm' : token;
}

/** The first rule that matches decides; none is a deny, of which the user is told. */
export function evaluate(rules: readonly Rule[], call: Call, qubes: ReadonlyMap<string, Qube>): Verdict {
  const rule = rules.find(
    (each) =>
      (each.service === '*' || each.service === call.service) &&
      (each.argument === '*' || each.argument === call.argument) &&
      matches(each.source, alias(call.source), qubes) &&
      matches(each.target, alias(call.target), qubes),
  );
  const action = rule?.action ?? 'deny';
  const notify = rule?.parameters.notify;
  return { action, rule, notify: notify === undefined ? action === 'deny' : notify === 'yes' };
}

function matches(token: string, name: string, qubes: ReadonlyMap<string, Qube>): boolean {
  if (token === '*') return true;
  if (token === '@anyvm') return name !== '@adminvm';
  const [, kind, value = ''] = /^@(type|tag):(.*)$/.exec(token) ?? [];
  if (kind === 'type') return qubes.get(name)?.type === value;
  if (kind === 'tag') return qubes.get(name)?.tags.includes(value) ?? false;
  return token === name;
}
