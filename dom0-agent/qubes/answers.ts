/** The forms of qubesd's answers. */
import { SparsebakError } from '../../shared/errors.ts';

/** A property of a qube, or of the whole system. */
export interface Property {
  readonly isDefault: boolean;
  /** `str`, `int`, `bool`, `vm` or `label`. */
  readonly type: string;
  /** Null: None, which is not the same as the default. */
  readonly value: string | null;
}

/** The lines of a list. */
export function linesOf(answer: string): string[] {
  return answer.split('\n').filter((line) => line !== '');
}

/** `work class=AppVM state=Halted uuid=…`: the first word, and the fields after it. */
export function fieldsOf(line: string): { readonly name: string; readonly fields: Readonly<Record<string, string>> } {
  const [name = '', ...words] = line.split(' ');
  return { name, fields: Object.fromEntries(words.map(pairOf)) };
}

/** `key=value` lines. */
export function pairsOf(answer: string): Readonly<Record<string, string>> {
  return Object.fromEntries(linesOf(answer).map(pairOf));
}

function pairOf(text: string): [key: string, value: string] {
  const at = text.indexOf('=');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

const PROPERTY = /^default=(True|False) type=([a-z]+) ?(.*)$/s;

/** `default=False type=vm sys-net`: the answer to `property.Get`, or a line of `GetAll` after its name. */
export function propertyOf(text: string): Property {
  const [matched, isDefault, type = '', value = ''] = PROPERTY.exec(text) ?? [];
  if (matched === undefined) throw notUnderstood(text);
  // An empty string and None look alike; only a qube can be None and be set.
  return { isDefault: isDefault === 'True', type, value: value === '' && type !== 'str' ? null : value };
}

/** The answer to `property.GetAll`, where backslashes and newlines in values are escaped. */
export function propertiesOf(answer: string): Readonly<Record<string, Property>> {
  return Object.fromEntries(
    linesOf(answer).map((line) => {
      const at = line.indexOf(' ');
      return [line.slice(0, at), propertyOf(unescapeValue(line.slice(at + 1)))];
    }),
  );
}

function unescapeValue(text: string): string {
  return text.replaceAll(/\\(\\|n)/g, (_, character: string) => (character === 'n' ? '\n' : '\\'));
}

// Options begin with `_` and may contain hyphens: `_no-strict-reset='True'`.
const DEVICE_FIELD = /([^\s='"]+)='((?:[^'\\]|\\.)*)'/gs;

/** A device that is assigned to a qube: `sys-net+sda1:* device_id='*' port_id='sda1' devclass='block' …`. */
export interface Assignment {
  /** `sys-net+sda1:*`, as qubesd writes it. */
  readonly device: string;
  readonly fields: Readonly<Record<string, string>>;
}

export function assignmentOf(line: string): Assignment {
  const at = line.indexOf(' ');
  const device = at < 0 ? line : line.slice(0, at);
  const fields: Record<string, string> = {};
  for (const [, key = '', value = ''] of line.slice(device.length).matchAll(DEVICE_FIELD)) {
    // qubesd escapes the quote alone.
    fields[key] = value.replaceAll(String.raw`\'`, "'");
  }
  return { device, fields };
}

export function notUnderstood(text: string): SparsebakError {
  return new SparsebakError('source', `an answer of qubesd is not understood: ${JSON.stringify(text.slice(0, 80))}`, {
    hint: 'This release of Qubes may be newer than this sparsebak: update sparsebak-dom0.',
  });
}
