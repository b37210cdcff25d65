/**
 * The name of a failed system call's error, and its meaning in plain words. libuv has no name for some Linux errors
 * that disks and file systems do return: "Unknown system error -122" is an exceeded quota.
 */

/** Linux's numbers on the processors that Node runs on. */
const UNNAMED: Readonly<Record<number, string>> = {
  5: 'EIO',
  37: 'ENOLCK',
  61: 'ENODATA',
  74: 'EBADMSG',
  116: 'ESTALE',
  117: 'EUCLEAN',
  121: 'EREMOTEIO',
  122: 'EDQUOT',
  123: 'ENOMEDIUM',
  124: 'EMEDIUMTYPE',
  125: 'ECANCELED',
  126: 'ENOKEY',
  127: 'EKEYEXPIRED',
  128: 'EKEYREVOKED',
  129: 'EKEYREJECTED',
};

const MEANING: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EBADMSG: 'the file system found a wrong checksum',
  EBUSY: 'it is in use',
  EDQUOT: 'the disk quota is used up',
  EEXIST: 'it exists already',
  EFBIG: 'the file system takes no file of this size',
  EINVAL: 'the system does not take this here',
  EIO: 'the disk gave an input/output error',
  EISDIR: 'it is a folder',
  EKEYEXPIRED: 'the key of the encrypted folder has expired',
  EKEYREJECTED: 'the key of the encrypted folder was rejected',
  EKEYREVOKED: 'the key of the encrypted folder was revoked',
  ELOOP: 'it is a symbolic link, or there are too many of them',
  EMEDIUMTYPE: 'the drive holds a medium of the wrong type',
  EMFILE: 'too many files are open in this process',
  EMLINK: 'the file has as many hard links as the file system takes',
  ENAMETOOLONG: 'the name is too long',
  ENFILE: 'too many files are open on this computer',
  ENODATA: 'the disk cannot read this sector',
  ENODEV: 'there is no such device',
  ENOENT: 'no such file or folder',
  ENOKEY: 'the folder is encrypted, and its key is not there',
  ENOLCK: 'the file system has no locks left',
  ENOMEDIUM: 'there is no medium in the drive',
  ENOMEM: 'there is not enough memory',
  ENOSPC: 'no space is left on the file system',
  ENOTDIR: 'a part of the path is not a folder',
  ENOTEMPTY: 'the folder is not empty',
  ENOTSUP: 'the file system does not support this',
  ENXIO: 'there is no such device',
  EPERM: 'this is not permitted',
  EREMOTEIO: 'the disk gave a remote input/output error',
  EROFS: 'the file system is mounted read-only',
  ESTALE: 'the network file system has lost the file',
  ETIMEDOUT: 'the disk or the network did not answer in time',
  ETXTBSY: 'it is a program that is running',
  EUCLEAN: 'the file system is damaged and needs a check',
  EXDEV: 'it is on another file system',
};

/**
 * The name of a failed call's error (`ENOENT`, `EDQUOT`, …), or Node's own (`ERR_…`); undefined for another kind of
 * error.
 */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('errno' in error && typeof error.errno === 'number') {
    const name = UNNAMED[-error.errno];
    if (name !== undefined) return name;
  }
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/**
 * `no space is left on the file system (ENOSPC)`; undefined for an error that is not the system's, or has no text here.
 */
export function systemMeaning(error: unknown): string | undefined {
  const code = systemCode(error);
  const meaning = code === undefined ? undefined : MEANING[code];
  return meaning === undefined || code === undefined ? undefined : `${meaning} (${code})`;
}

/** The error's text, in plain words for a system error: `/a/b: no space is left on the file system (ENOSPC)`. */
export function plainText(error: unknown, object?: string): string {
  const meaning = systemMeaning(error);
  if (meaning === undefined) return object === undefined ? textOf(error) : `${object}: ${textOf(error)}`;
  const what = object ?? pathOf(error);
  return what === undefined ? meaning : `${what}: ${meaning}`;
}

/** The file of a failed call; of two files, the one that was to be created. */
function pathOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { path, dest } = error as { path?: unknown; dest?: unknown };
  const found = typeof dest === 'string' ? dest : path;
  return typeof found === 'string' ? found : undefined;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
