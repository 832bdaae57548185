/** The numbers of guest/protocol.json that concern files. A test compares them. */

export const filesOperations = { status: 1, read: 2, write: 3, layer: 4, changes: 5 } as const;

export const filesFlags = { keepKind: 1, giveOwner: 2 } as const;

export const filesResults = {
  done: 0,
  failed: 1,
  notFound: 2,
  notDirectory: 3,
  conflict: 4,
  noSpace: 5,
  tooLarge: 6,
  readOnly: 7,
} as const;

export const filesLimits = { record: 4194304, segments: 16384, xattrs: 256 } as const;
