/** What an archive may ask of us at most. Everything read from a tar is bounded by one of these before it is kept. */
export const tarLimits = {
  /** Linux' PATH_MAX; a longer path could not be unpacked either. */
  pathBytes: 4096,
  /** NAME_MAX. */
  componentBytes: 255,
  /** One PAX header (its records together) or one GNU long name. */
  headerBytes: 1024 * 1024,
  /** What an archive's global headers may say altogether: it is gone through again for every member. */
  globalBytes: 16 * 1024,
  /** Members of one archive. */
  entries: 4_000_000,
  /** Segments of one sparse file. */
  sparseSegments: 1_000_000,
  /** XATTR_SIZE_MAX minus one: the layer format counts a value's size in 16 bits. */
  xattrValueBytes: 65_535,
} as const;
