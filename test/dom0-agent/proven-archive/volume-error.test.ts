import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isVolumeError, namingVolume } from '../../../dom0-agent/proven-archive/volume-error.ts';
import { SparsebakError, type ErrorCode } from '../../../shared/errors.ts';
import { SESSION, VOLUME } from '../content/objects.ts';

const broken = new SparsebakError('unreachable', 'gone');
const error = (code: ErrorCode) => new SparsebakError(code, 'x');

test('one volume’s damage or refusal stops no other, what breaks the connection stops all', () => {
  const stands = { failure: undefined };
  for (const code of ['integrity', 'rollback', 'refused', 'locked'] as const) {
    assert.ok(isVolumeError(error(code), stands), code);
    assert.ok(!isVolumeError(error(code), { failure: broken }), `${code}, of a connection that is over`);
  }
  for (const code of ['protocol', 'unreachable', 'interrupted', 'fork', 'no-space', 'failed'] as const) {
    assert.ok(!isVolumeError(error(code), stands), code);
  }
  assert.ok(!isVolumeError(new TypeError('a fault of ours'), stands));
});

test('the error is told by the user’s name for the volume and the session, each once, never by an id', () => {
  const place = { id: VOLUME, name: 'work', session: SESSION, hint: 'do that' };
  const said = (message: string, changes = {}) =>
    namingVolume(new SparsebakError('integrity', message), { ...place, ...changes }).message;
  const named = `work, session ${SESSION}: `;
  assert.equal(said('page 3 is corrupt'), `${named}page 3 is corrupt`);
  assert.equal(said(`head of volume ${VOLUME}, session ${SESSION}: cut short`), `${named}head: cut short`);
  assert.equal(said(`page 3 of volume ${VOLUME}: missing`), `${named}page 3: missing`);
  assert.equal(said(`session ${SESSION} has no head`), `work: session ${SESSION} has no head`);
  assert.equal(said(`work, session ${SESSION}: told before`), `work, session ${SESSION}: told before`);
  assert.equal(said('page 3 is corrupt', { session: undefined }), 'work: page 3 is corrupt');
});

test('its code, cause and own hint stay; without a hint of its own it gets one', () => {
  const place = { id: VOLUME, name: 'work', hint: 'do that' };
  const bare = namingVolume(error('rollback'), place);
  assert.deepEqual([bare.code, bare.hint, bare.cause], ['rollback', 'do that', error('rollback')]);
  const hinted = namingVolume(new SparsebakError('integrity', 'x', { hint: 'do this' }), place);
  assert.equal(hinted.hint, 'do this');
  assert.equal(namingVolume(new RangeError('x'), place).code, 'failed');
});
