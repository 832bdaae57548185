/**
 * POSIX ACLs that an archive has as text (SCHILY.acl.access, star(5)), turned into what the kernel takes
 * (include/uapi/linux/posix_acl_xattr.h). Users and groups by name belong to the machine that packed the archive
 * and mean nothing here: such an ACL is not taken.
 */

const tags: Readonly<Record<string, readonly [plain: number, named: number]>> = {
  user: [0x01, 0x02],
  u: [0x01, 0x02],
  group: [0x04, 0x08],
  g: [0x04, 0x08],
  mask: [0x10, 0x10],
  m: [0x10, 0x10],
  other: [0x20, 0x20],
  o: [0x20, 0x20],
};
const version = 2;
const noId = 0xffff_ffff;

/** The value of the extended attribute; undefined when the text is no ACL or names somebody. */
export function aclFromText(text: string): Uint8Array | undefined {
  const entries: { tag: number; permissions: number; id: number }[] = [];
  for (const line of text.split(/[\n,]/)) {
    const entry = line.replace(/#.*/, "").trim();
    if (entry === "") continue;
    // star adds the number as a fourth part.
    const [kind = "", who = "", permissions = "", number] = entry.split(":").map((part) => part.trim());
    const pair = Object.hasOwn(tags, kind) ? tags[kind] : undefined;
    if (pair === undefined || !/^[r-][w-][x-]$/.test(permissions)) return undefined;
    const id = who === "" ? undefined : (number ?? who);
    if (id !== undefined && (!/^\d{1,10}$/.test(id) || Number(id) >= noId)) return undefined;
    entries.push({
      tag: id === undefined ? pair[0] : pair[1],
      permissions: [4, 2, 1].reduce((sum, bit, at) => (permissions[at] === "-" ? sum : sum + bit), 0),
      id: id === undefined ? noId : Number(id),
    });
  }
  if (entries.length === 0) return undefined;
  // The kernel wants them by tag, then by number.
  entries.sort((a, b) => a.tag - b.tag || a.id - b.id);
  const value = Buffer.alloc(4 + entries.length * 8);
  value.writeUInt32LE(version, 0);
  for (const [index, entry] of entries.entries()) {
    const at = 4 + index * 8;
    value.writeUInt16LE(entry.tag, at);
    value.writeUInt16LE(entry.permissions, at + 2);
    value.writeUInt32LE(entry.id, at + 4);
  }
  return value;
}
