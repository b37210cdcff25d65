import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assignmentOf, fieldsOf, pairsOf, propertiesOf, propertyOf } from '../../../dom0-agent/qubes/answers.ts';

describe('answers of qubesd', () => {
  it('tell the default, None and an empty string apart', () => {
    assert.deepEqual(propertyOf('default=True type=vm sys-firewall'), {
      ...{ isDefault: true, type: 'vm', value: 'sys-firewall' },
    });
    assert.deepEqual(propertyOf('default=False type=vm '), { isDefault: false, type: 'vm', value: null });
    assert.deepEqual(propertyOf('default=False type=str '), { isDefault: false, type: 'str', value: '' });
    assert.deepEqual(propertyOf('default=False type=str a\nb'), { isDefault: false, type: 'str', value: 'a\nb' });
    assert.throws(() => propertyOf('netvm default=True type=vm x'), { code: 'source' });
  });

  it('unescape what GetAll escapes, and nothing else', () => {
    const all = propertiesOf(
      String.raw`kernelopts default=False type=str a\nb\\n` + '\nname default=False type=str work\n',
    );
    assert.deepEqual(all.kernelopts, { isDefault: false, type: 'str', value: 'a\nb\\n' });
    assert.equal(all.name?.value, 'work');
  });

  it('are split at the first equals sign and space alone', () => {
    assert.deepEqual(fieldsOf('work class=AppVM state=Halted uuid=4dd4'), {
      name: 'work',
      fields: { class: 'AppVM', state: 'Halted', uuid: '4dd4' },
    });
    assert.deepEqual(pairsOf('pool=vm-pool\nsource=\npath=/a=b c\n'), { pool: 'vm-pool', source: '', path: '/a=b c' });
  });

  it('have devices with quotes and spaces in their fields', () => {
    const line =
      "sys-net+sda1:* device_id='*' port_id='sda1' devclass='block' backend_domain='sys-net' mode='required' " +
      String.raw`_name='it\'s a stick'`;
    const { device, fields } = assignmentOf(line);
    assert.equal(device, 'sys-net+sda1:*');
    assert.deepEqual(fields, {
      ...{ device_id: '*', port_id: 'sda1', devclass: 'block', backend_domain: 'sys-net', mode: 'required' },
      _name: "it's a stick",
    });
  });
});
