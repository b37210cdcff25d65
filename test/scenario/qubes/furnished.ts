// A qube with settings of every kind.

import type { Qubesd } from '../../fixtures/qubesd/qubesd.ts';

export async function furnish(host: Qubesd, name: string): Promise<void> {
  const set = (property: string, value: string) => host.ok('admin.vm.property.Set', name, property, value);
  await set('netvm', 'sys-net');
  await set('memory', '777');
  await set('default_dispvm', '');
  await set('provides_network', 'True');
  await host.ok('admin.vm.feature.Set', name, 'service.cups', '1');
  await host.ok('admin.vm.feature.Set', name, 'service.meminfo-writer', '');
  await host.ok('admin.vm.feature.Set', name, 'menu-items', 'firefox.desktop xterm.desktop');
  await host.ok('admin.vm.tag.Set', name, 'important');
  const rules = ['action=accept dst4=1.2.3.4/32 proto=tcp dstports=443-444', 'action=drop'];
  await host.ok('admin.vm.firewall.Set', name, '', rules.map((rule) => `${rule}\n`).join(''));
  await host.ok('admin.vm.notes.Set', name, '', 'of the "client"\nsecond line\n');
  await host.ok('admin.vm.volume.Set.revisions_to_keep', name, 'private', '3');
  const device = "device_id='*' port_id='sda1' devclass='block' backend_domain='sys-net' mode='required'";
  await host.ok('admin.vm.device.block.Assign', name, 'sys-net+sda1+*', `${device} frontend_domain='${name}'`);
}

/** Other settings and data. */
export async function change(host: Qubesd, name: string): Promise<void> {
  await host.ok('admin.vm.property.Set', name, 'label', 'green');
  await host.ok('admin.vm.property.Set', name, 'memory', '999');
  await host.ok('admin.vm.property.Set', name, 'vcpus', '1');
  await host.ok('admin.vm.property.Reset', name, 'netvm');
  await host.ok('admin.vm.feature.Set', name, 'service.crond', '1');
  await host.ok('admin.vm.tag.Set', name, 'new');
  await host.ok('admin.vm.firewall.Set', name, '', 'action=drop\n');
  await host.ok('admin.vm.volume.Resize', name, 'private', String(20 * 2 ** 20));
  await host.control({ do: 'fill', qube: name, volume: 'private', bytes: 3 * 2 ** 20 });
}
