import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeSettings, encodeSettings, type Settings } from '../../../dom0-agent/qubes/settings.ts';

const SETTINGS: Settings = {
  ...{ format: 1, name: 'work', uuid: '1', class: 'AppVM', state: 'Halted', template: null, release: 'R4.3' },
  label: { name: 'red', colour: '0xcc0000' },
  properties: {
    netvm: { default: false, type: 'vm', value: null },
    debug: { default: true, type: 'bool', value: 'x' },
  },
  features: { b: '', a: '1' },
  ...{ tags: ['t'], firewall: ['action=accept'], notes: '\u2028 \u{1f512}', unavailable: [] },
  devices: [{ class: 'block', device: 'sys-net+sda1:*', fields: { mode: 'required' } }],
  volumes: { private: { pool: 'p', vid: 'appvms/mail/private', size: 2 ** 40, revisionsToKeep: -1, saved: true } },
};

function reversed<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).reverse()) as T;
}

describe('settings documents', () => {
  it('are the same bytes for the same settings, in whatever order they came', () => {
    const other = { ...reversed(SETTINGS), features: reversed(SETTINGS.features), volumes: reversed(SETTINGS.volumes) };
    assert.ok(encodeSettings(other).equals(encodeSettings(SETTINGS)));
    assert.deepEqual(decodeSettings(encodeSettings(SETTINGS), 'work:settings'), SETTINGS);
  });

  it('of a newer format, or of none, are refused by the name of their volume', () => {
    const text = (value: unknown) => Buffer.from(JSON.stringify(value));
    assert.throws(() => decodeSettings(text({ ...SETTINGS, format: 2 }), 'work:settings'), /work:settings.*newer/);
    assert.throws(
      () => decodeSettings(text({ ...SETTINGS, tags: 1 }), 'work:settings'),
      /work:settings.*another form/s,
    );
    assert.throws(() => decodeSettings(Buffer.from('{'), 'work:settings'), /work:settings.*not JSON/);
  });
});
