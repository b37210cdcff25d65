/**
 * Names of the files that the driver `file-reflink` of Qubes keeps in a qube's folder. A volume is `private.img` or
 * `root.img`; beside it:
 *
 *     private-dirty.img       what a running qube writes to. Renamed to private.img when it stops; where Qubes keeps
 *                             no revisions (revisions_to_keep = -1) private.img has this name while the qube runs
 *     private-precache.img    a copy that becomes the dirty image at the next start
 *     private-import.img      what is being imported
 *     private.img.3@TIMEZ     a revision
 *     private.img~XXXX        half-made, as are all names with .img and a later ~
 *     volatile-dirty.img      a running qube's swap; no volume has it in an archive
 *
 * Images of other names are not the driver's: `web-dirty.img` is a volume like any other.
 */
const IMAGE =
  /^((?:[^]*\/)?(private|root|volatile))(?:(\.img)|-(dirty)\.img|(?:-precache|-import)\.img|\.img\.\d+@[^/]+Z)$/;
const HALF_MADE = /(?:^|\/)(?:private|root|volatile)[^/]*\.img[^/]*~[^/]*$/;

/** `working`: never backed up, neither by itself nor instead of another file. */
export type QubesImage = { readonly role: 'volume' | 'dirty'; readonly volume: string } | { readonly role: 'working' };

/** undefined: a name that the driver does not use. */
export function qubesImage(name: string): QubesImage | undefined {
  if (HALF_MADE.test(name)) return { role: 'working' };
  const [matched, base = '', kind, clean, dirty] = IMAGE.exec(name) ?? [];
  if (matched === undefined) return undefined;
  if (kind === 'volatile' || (clean === undefined && dirty === undefined)) return { role: 'working' };
  return { role: dirty === undefined ? 'volume' : 'dirty', volume: `${base}.img` };
}

/** The file that the running qube of this volume writes to; undefined for a volume that is not Qubes'. */
export function dirtyName(volume: string): string | undefined {
  return qubesImage(volume)?.role === 'volume' ? volume.replace(/\.img$/, '-dirty.img') : undefined;
}

/** The copy that becomes the dirty image at the next start. */
export function precacheName(volume: string): string | undefined {
  return qubesImage(volume)?.role === 'volume' ? volume.replace(/\.img$/, '-precache.img') : undefined;
}

/** The file that Qubes writes to while it imports this volume. */
export function importName(volume: string): string {
  return volume.replace(/\.img$/, '-import.img');
}

/**
 * Whether it is an earlier state of the volume, or the copy that is made at a stop: only a volume that Qubes saves has
 * these.
 */
export function isSavedBeside(name: string, volume: string): boolean {
  if (!volume.endsWith('.img')) return false;
  return (
    name === volume.replace(/\.img$/, '-precache.img') ||
    (/^\.\d+@[^/]+Z$/.test(name.slice(volume.length)) && name.startsWith(volume))
  );
}
