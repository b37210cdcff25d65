// A scenario once more, through the stand-in for qrexec: for those whose outcome the link can change. All of them run so with
// SPARSEBAK_LINK=qubes in the environment.

/** @param name of its file. To be called before anything of the scenarios is imported */
export async function again(name: string): Promise<void> {
  if (process.env.SPARSEBAK_LINK === 'qubes') return;
  process.env.SPARSEBAK_LINK = 'qubes';
  await import(`../${name}.test.ts`);
}
