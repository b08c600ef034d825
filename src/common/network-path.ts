/**
 * The computer and share that a path of Windows names, in lower case; undefined for a path on this
 * computer. Looking whether such a path exists sends the user's credentials to that computer.
 */
export function networkShare(path: string, platform = process.platform): string | undefined {
  if (platform !== "win32") return undefined;
  const plain = path.replaceAll("/", "\\");
  const long = /^\\\\[?.]\\UNC\\/i.exec(plain);
  const unc = long === null ? plain : `\\\\${plain.slice(long[0].length)}`;
  // A device of this computer, such as \\?\C:\clip.mp4.
  if (/^\\\\[?.]\\/.test(unc)) return undefined;
  return /^\\\\[^\\]+(\\[^\\]+)?/.exec(unc)?.[0].toLowerCase();
}

/**
 * Whether looking at a path that a file names would reach a computer that the file itself is not on.
 *
 * @param path absolute.
 * @param from the file that names it; absolute.
 */
export function leavesForNetwork(path: string, from: string, platform = process.platform): boolean {
  const share = networkShare(path, platform);
  return share !== undefined && share !== networkShare(from, platform);
}
