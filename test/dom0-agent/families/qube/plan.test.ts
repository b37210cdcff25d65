import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { linkChanges, ownChanges } from '../../../../dom0-agent/families/qube/restore/changes.ts';
import type { Host } from '../../../../dom0-agent/families/qube/restore/host.ts';
import { planOf } from '../../../../dom0-agent/families/qube/restore/plan.ts';
import type { RestoreRequest, SelectedQube } from '../../../../dom0-agent/families/qube/restore/request.ts';
import type { Settings } from '../../../../dom0-agent/qubes/settings.ts';

const SESSION = 'S_20261123-204420';

function settings(name: string, more: Partial<Settings> = {}): Settings {
  return {
    ...{ format: 1, name, uuid: `uuid-${name}`, class: 'AppVM', state: 'Halted', release: 'R4.3' },
    ...{ label: { name: 'red', colour: '0xcc0000' }, template: 'fedora' },
    ...{ properties: {}, features: {}, tags: [], firewall: ['action=accept'], notes: '', devices: [] },
    volumes: { private: { pool: 'p', vid: `appvms/${name}/private`, size: 5, revisionsToKeep: 1, saved: true } },
    unavailable: [],
    ...more,
  };
}

function selected(name: string, more: Partial<Settings> = {}): SelectedQube {
  const document = settings(name, more);
  const saved = Object.entries(document.volumes).filter(([, volume]) => volume.saved);
  return {
    ...{ qube: name, settings: { session: SESSION as SelectedQube['settings']['session'], document } },
    volumes: Object.fromEntries(saved.map(([volume]) => [volume, { session: SESSION, sizeBytes: 5 }])),
  };
}

function host(here: readonly Settings[], more: Partial<Host> = {}): Host {
  const pool = { name: 'p', driver: 'file-reflink', fields: {}, usable: true };
  return {
    qubes: new Map(here.map(({ name, uuid, class: is, state }) => [name, { name, uuid, class: is, state }])),
    ...{ pools: new Map([['p', pool]]), defaultPools: new Map([['private', 'p']]), labels: new Set(['red']) },
    ...{ servesDisposables: new Set<string>(), properties: new Map(), deviceClasses: new Set(['block']) },
    ...{ release: 'R4.3', settings: new Map(here.map((each) => [each.name, each])), records: new Map() },
    ...{ tagged: new Set<string>(), foreign: new Map() },
    ...more,
  };
}

const fedora = settings('fedora', { class: 'TemplateVM', template: null });

function request(more: Partial<RestoreRequest> = {}): RestoreRequest {
  return { mode: 'create', as: undefined, pool: undefined, templates: new Map(), netvms: new Map(), ...more };
}

const isTrue = { default: false, type: 'bool', value: 'True' };

describe('a plan', () => {
  it('creates templates, then what serves disposables, then others, and disposables last', () => {
    const all = [
      selected('a-disp', { class: 'DispVM', template: 'b-dvm', volumes: {} }),
      selected('b-dvm', { properties: { template_for_dispvms: isTrue } }),
      selected('aa'),
      selected('fedora', { class: 'TemplateVM', template: null }),
    ];
    const plan = planOf(all, host([]), request({ mode: 'all' }));
    assert.deepEqual(
      plan.qubes.map(({ qube }) => qube),
      ['fedora', 'b-dvm', 'aa', 'a-disp'],
    );
  });

  it('lists templates to install once, and leaves out what needs them, also by way of another', () => {
    const all = [
      selected('a'),
      selected('dvm', { properties: { template_for_dispvms: isTrue } }),
      selected('disp', { class: 'DispVM', template: 'dvm', volumes: {} }),
      selected('own', { class: 'StandaloneVM', template: null }),
    ];
    const plan = planOf(all, host([]), request({ mode: 'all' }));
    assert.deepEqual(
      plan.qubes.map(({ qube }) => qube),
      ['own'],
    );
    assert.deepEqual(plan.install, [{ template: 'fedora', command: 'sudo qvm-template install fedora' }]);
    assert.deepEqual(plan.left.map(({ qube }) => qube).sort(), ['a', 'disp', 'dvm']);
  });

  it('says that templates depend on each other', () => {
    const all = [selected('a', { template: 'b' }), selected('b', { template: 'a' })];
    const plan = planOf(all, host([]), request({ mode: 'all' }));
    assert.ok(plan.left.every(({ error }) => error.message.includes('depends on')));
    assert.equal(plan.left.length, 2);
  });

  it('refuses a disposable whose template does not serve them', () => {
    const disp = selected('disp', { class: 'DispVM', template: 'work', volumes: {} });
    const here = host([settings('work')]);
    assert.match(planOf([disp], here, request()).left[0]!.error.message, /no template for disposables/);
    const serving = { ...here, servesDisposables: new Set(['work']) };
    assert.equal(planOf([disp], serving, request()).qubes.length, 1);
  });

  it('maps templates and net qubes, and says what is missing', () => {
    const properties = {
      netvm: { default: false, type: 'vm', value: 'sys-vpn' },
      default_dispvm: { default: false, type: 'vm', value: 'gone' },
      management_dispvm: { default: false, type: 'vm', value: null },
      odd: { default: false, type: 'str', value: 'x' },
    };
    const work = selected('work', { properties, template: 'old' });
    const known = new Map([['AppVM', new Set(['netvm', 'default_dispvm', 'management_dispvm'])]]);
    const here = host([fedora, settings('sys-net')], { properties: known });
    const maps = { templates: new Map([['old', 'fedora']]), netvms: new Map([['sys-vpn', 'sys-net']]) };
    const [planned] = planOf([work], here, request(maps)).qubes;
    assert.deepEqual(planned!.wanted.links, { netvm: 'sys-net', management_dispvm: null });
    assert.equal(planned!.template, 'fedora');
    const needing = planned!.remarks.filter(({ needsUser }) => needsUser).map(({ about }) => about);
    assert.deepEqual(needing, ['property default_dispvm', 'property odd']);
  });

  it('leaves out what must be unique, beside the original only', () => {
    const properties = { mac: { default: false, type: 'str', value: '00:16:3e:00:00:01' } };
    const work = selected('work', { properties });
    const [copy] = planOf([work], host([fedora]), request({ as: 'copy' })).qubes;
    const [same] = planOf([work], host([fedora]), request()).qubes;
    assert.deepEqual([copy!.wanted.properties, Object.keys(same!.wanted.properties)], [{}, ['mac']]);
  });

  it('creates a label with its colour, and uses the default pool where the saved one is not', () => {
    const volumes = { private: { pool: 'gone', vid: 'x', size: 5, revisionsToKeep: 2, saved: true } };
    const work = selected('work', { label: { name: 'pink', colour: '0xff00ff' }, volumes });
    const plan = planOf([work], host([fedora]), request());
    assert.deepEqual(plan.labels, [{ name: 'pink', colour: '0xff00ff' }]);
    assert.equal(plan.qubes[0]!.volumes[0]!.pool, 'p');
  });

  it('replaces only a halted qube of the same class', () => {
    const work = selected('work');
    const replace = request({ mode: 'replace' });
    const bad: [Partial<Settings>, RegExp][] = [
      [{ state: 'Running' }, /not halted/],
      [{ class: 'StandaloneVM' }, /its class is StandaloneVM here/],
      [{ volumes: {} }, /no volume private/],
    ];
    for (const [now, message] of bad) {
      const plan = planOf([work], host([fedora, settings('work', now)]), replace);
      assert.match(plan.left[0]!.error.message, message);
    }
    const renamed = host([fedora, { ...settings('work'), name: 'office' }]);
    assert.match(planOf([work], renamed, replace).left[0]!.error.message, /named office now/);
    assert.equal(planOf([work], host([fedora, settings('work')]), replace).qubes.length, 1);
  });

  it('leaves a qube alone that has the tag of another restore, or the name', () => {
    const here = host([fedora, settings('work')]);
    assert.match(planOf([selected('work')], here, request()).left[0]!.error.message, /exists already/);
    const tagged = { ...here, tagged: new Set(['work']) };
    assert.match(planOf([selected('work')], tagged, request()).left[0]!.error.message, /has the tag/);
  });
});

describe('changes', () => {
  const circumstances = host([fedora, settings('work')]);
  const wantedOf = (more: Partial<Settings>) =>
    planOf([selected('work', more)], circumstances, request({ as: 'copy' })).qubes[0]!.wanted;

  it('are none for settings that are as wanted, so that they can be repeated', () => {
    const more = { tags: ['a', 'created-by-dom0', 'guivm-x'], features: { internal: '', 'preload-dispvm': 'disp1' } };
    const wanted = wantedOf(more);
    assert.deepEqual(
      [...ownChanges(wanted, settings('copy', more), true), ...linkChanges(wanted, settings('copy'))],
      [],
    );
  });

  it('set the flags first that others depend on, and reset what was not saved', () => {
    const wanted = wantedOf({
      properties: { aaa: { default: false, type: 'int', value: '1' }, provides_network: isTrue },
    });
    const now = settings('copy', { properties: { vcpus: { default: false, type: 'int', value: '1' } }, tags: ['new'] });
    assert.deepEqual(ownChanges(wanted, now, true), [
      { kind: 'set property', name: 'provides_network', value: 'True' },
      { kind: 'set property', name: 'aaa', value: '1' },
      { kind: 'reset property', name: 'vcpus' },
      { kind: 'remove tag', tag: 'new' },
    ]);
  });

  it('keep what the backup could not read', () => {
    const wanted = wantedOf({ unavailable: ['firewall', 'notes', 'devices of class block'] });
    const device = { class: 'block', device: 'sys-net+sda1:*', fields: {} };
    const now = settings('copy', { firewall: ['action=drop'], notes: 'mine', devices: [device] });
    assert.deepEqual([...ownChanges(wanted, now, true), ...linkChanges(wanted, now)], []);
  });

  it('gives a new qube no open network if its rules were not saved, and keeps those of a replaced one', () => {
    const unknown = selected('work', { firewall: [], unavailable: ['firewall', 'notes'] });
    const [created] = planOf([unknown], host([fedora]), request()).qubes;
    assert.deepEqual(created?.wanted.firewall, ['action=drop']);
    assert.deepEqual(
      created.remarks.map(({ about, needsUser }) => [about, needsUser]),
      [
        ['firewall', true],
        ['not in the archive', false],
      ],
    );
    const here = host([fedora, settings('work')]);
    const [replaced] = planOf([unknown], here, request({ mode: 'replace' })).qubes;
    assert.equal(replaced?.wanted.firewall, undefined);
    assert.deepEqual(replaced?.changes, []);
    assert.equal(replaced.remarks[0]?.about, 'firewall');
  });
});
