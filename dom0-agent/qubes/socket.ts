/**
 * One call to qubesd, Qubes' administration daemon, over its Unix socket: the request is
 * `METHOD+ARG dom0 name DEST NUL PAYLOAD`, ended by closing the sending half; the answer is `0 NUL DATA`, or
 * `2 NUL EXCEPTION NUL TRACEBACK NUL MESSAGE NUL`. An empty answer means that qubesd refused, or failed within.
 */
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { SparsebakError, systemCode } from '../../shared/errors.ts';

export const QUBESD_SOCKET = '/var/run/qubesd.sock';

/** Bytes. Notes are the longest thing that is asked for, with 256 KiB; a firewall has at most some hundred KiB. */
const MAX_ANSWER = 4 * 1024 * 1024;
/** Milliseconds without a byte. Creating or removing a qube takes seconds on a busy pool. */
const SILENCE = 120_000;

export interface Call {
  /** Such as `admin.vm.volume.Info`. */
  readonly method: string;
  /** A qube's name, or `dom0`. */
  readonly dest: string;
  readonly arg?: string;
  readonly payload?: string | Uint8Array;
}

/** What qubesd answered instead of data. */
export class QubesdRefusal extends Error {
  /** The class of qubesd's exception, such as `QubesVMNotFoundError`; undefined for an empty answer. */
  readonly exception: string | undefined;

  constructor(call: Call, exception: string | undefined, message: string) {
    super(message);
    this.name = 'QubesdRefusal';
    this.exception = exception;
    this.call = `${call.method}${call.arg === undefined ? '' : `+${call.arg}`} ${call.dest}`;
  }

  /** The call that was refused, for display. */
  readonly call: string;
}

/** @throws QubesdRefusal; SparsebakError `config` if this is not Qubes, `source` if qubesd does not answer */
export async function callQubesd(socket: string, call: Call): Promise<Buffer> {
  checkWords(call);
  const answer = await exchange(socket, call);
  if (answer.length === 0) {
    throw new QubesdRefusal(call, undefined, `qubesd refused ${call.method} for ${call.dest}, and did not say why`);
  }
  const [kind] = answer;
  if (kind === 0x30 && answer[1] === 0) return answer.subarray(2);
  const [code, exception = '', , ...message] = answer.toString('utf8').split('\0');
  if (code !== '2')
    throw new SparsebakError('source', `qubesd gave an answer to ${call.method} that is not understood`);
  const text = message.filter((part) => part !== '').join(' ');
  throw new QubesdRefusal(call, exception, text === '' ? exception : text);
}

/** What the request's first line is made of must not contain what separates its words. */
function checkWords({ method, dest, arg = '' }: Call): void {
  for (const word of [method, dest, arg]) {
    if (!/[\0\s]/.test(word)) continue;
    throw new SparsebakError('usage', `${JSON.stringify(word)} cannot be part of a call to qubesd`);
  }
}

async function exchange(path: string, { method, dest, arg, payload = '' }: Call): Promise<Buffer> {
  return await new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let length = 0;
    const socket = connect(path);
    const fail = (error: Error): void => {
      socket.destroy();
      reject(error);
    };
    socket.setTimeout(SILENCE, () => {
      fail(
        new SparsebakError('source', `qubesd gave no answer to ${method} for ${SILENCE / 1000} seconds`, {
          hint: HINT,
        }),
      );
    });
    socket.on('error', (error) => {
      fail(notReached(path, error));
    });
    socket.on('data', (bytes: Buffer) => {
      length += bytes.length;
      if (length > MAX_ANSWER) fail(new SparsebakError('source', `qubesd's answer to ${method} is too long`));
      else parts.push(bytes);
    });
    socket.on('end', () => {
      socket.destroy();
      resolve(Buffer.concat(parts));
    });
    const line = `${method}${arg === undefined ? '' : `+${arg}`} dom0 name ${dest}\0`;
    socket.end(Buffer.concat([Buffer.from(line), Buffer.from(payload)]));
  });
}

const HINT = 'See whether qubesd runs: systemctl status qubesd';

function notReached(path: string, error: Error): SparsebakError {
  if (systemCode(error) === 'ENOENT' && !existsSync('/etc/qubes-release')) {
    return new SparsebakError('config', `qubes can only be saved in dom0 of Qubes OS: there is no ${path}`, {
      hint: 'Remove [qubes] from the configuration, and select volumes with [pool.NAME].',
      cause: error,
    });
  }
  return new SparsebakError('source', `qubesd cannot be reached at ${path} (${systemCode(error) ?? error.message})`, {
    hint: HINT,
    cause: error,
  });
}
