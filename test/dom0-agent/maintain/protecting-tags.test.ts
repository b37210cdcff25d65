import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isProtectedBy, isProtecting } from '../../../dom0-agent/maintain/protecting-tags.ts';

test('a tag protects by its own text: "protected", or with a reason after a colon, and nothing that looks like it', () => {
  for (const tag of ['protected', 'protected:', 'protected:until the audit']) assert.ok(isProtecting(tag), tag);
  for (const tag of ['', 'Protected', ' protected', 'protected ', 'protected-by', 'unprotected', 'x protected:y']) {
    assert.ok(!isProtecting(tag), tag);
  }
});

test('one such tag among others is enough', () => {
  assert.ok(isProtectedBy(['a', 'protected:b']));
  assert.ok(!isProtectedBy(['a', 'b']));
  assert.ok(!isProtectedBy([]));
  assert.ok(!isProtectedBy(undefined));
});
