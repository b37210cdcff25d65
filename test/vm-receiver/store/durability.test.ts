import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { VOLUME, sessionName, slotOf } from './small-volumes.ts';
import { CREATE, OPEN, SESSION, begin, say, withReceivers } from '../wire-session.ts';

const skip = spawnSync('strace', ['-V']).status === 0 ? false : 'machine: no strace';

interface Call {
  readonly name: string;
  readonly text: string;
}

/** Completed system calls, in the order in which they returned. */
function parse(trace: string): Call[] {
  const begun = new Map<string, string>();
  const calls: Call[] = [];
  for (const line of trace.split('\n')) {
    const [, pid = '', rest = ''] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    if (rest.endsWith('<unfinished ...>')) {
      begun.set(pid, rest.slice(0, -'<unfinished ...>'.length));
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest)?.[1];
    const text = resumed === undefined ? rest : (begun.get(pid) ?? '') + resumed;
    const name = /^(\w+)\(/.exec(text)?.[1];
    if (name !== undefined) calls.push({ name, text });
  }
  return calls;
}

const succeeded = ({ text }: Call) => / = \d+$/.test(text.trimEnd()) || text.trimEnd().endsWith('= 0');

test('I2: done to commit is written after the data is durable, the rename, and the folder’s fsync', { skip }, () =>
  withReceivers(async ({ root, start }) => {
    const log = join(root, 'trace');
    const trace = 'trace=openat,write,writev,sendto,sendmsg,pwrite64,fsync,fdatasync,syncfs,rename,renameat,renameat2';
    const peer = start({ wrapper: ['strace', '-f', '-y', '-s', '64', '-o', log, '-e', trace] });
    await peer.greet();
    await peer.done(CREATE);
    await peer.done(OPEN);
    await peer.done(begin());
    for (const message of SESSION) await say(peer, message);
    await peer.done({ t: 'put-slot', name: 'late', data: slotOf('x') });
    assert.equal((await peer.bye()).code, 0);

    const calls = parse(readFileSync(log, 'utf8'));
    const volume = join(root, 'laptop/volumes', VOLUME);
    const toAgent = (call: Call) => /^(write|writev|sendto|sendmsg)\(1</.test(call.text);
    const renamed = calls.findIndex(
      (call) => call.name.startsWith('rename') && call.text.includes(`${volume}/${sessionName(1)}"`) && succeeded(call),
    );
    assert.ok(renamed > 0, 'no rename');
    const answered = calls.findIndex((call, at) => at > renamed && toAgent(call));
    const parentSynced = calls.findIndex(
      (call, at) => at > renamed && call.name === 'fsync' && call.text.includes(`<${volume}>`) && succeeded(call),
    );
    assert.ok(parentSynced > renamed && parentSynced < answered, 'the answer came before the fsync of the folder');

    /**
     * Files and folders below the send's own that something was written to and no sync came behind, up to that call.
     */
    const unsynced = (end: number) => {
      const dirty = new Set<string>();
      for (const { name, text } of calls.slice(0, end)) {
        const path = /<([^>]*)>/.exec(text)?.[1] ?? '';
        if (!path.startsWith(`${volume}/.tmp-`) || path.includes('/checkpoint')) continue;
        if (name === 'write') for (const each of [path, dirname(path)]) dirty.add(each);
        if (name === 'fsync') dirty.delete(path);
        if (name === 'syncfs') dirty.clear();
      }
      return [...dirty];
    };
    const synced = calls.slice(0, renamed).filter((call) => call.name === 'fsync' && call.text.includes('/.tmp-'));
    assert.ok(synced.every(succeeded) && synced.length > 5, 'it was synced file by file');
    assert.deepEqual(unsynced(renamed), [], 'the rename came before the sync of what it commits');

    // The checkpoint likewise: data, sync, the checkpoint's own file, its fsync and rename, the folder.
    const checkpoint = calls.findIndex(
      (call) => call.name.startsWith('rename') && call.text.includes('/checkpoint"') && succeeded(call),
    );
    assert.ok(checkpoint > 0 && calls.slice(0, checkpoint).some(({ text }) => text.includes('/page>')));
    assert.deepEqual(unsynced(checkpoint), [], 'the checkpoint was there before its data');
  }),
);
