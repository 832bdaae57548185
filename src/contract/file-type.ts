/** What a member of a tar or of a workload's files can be. */
export type FileType =
  | "file"
  | "directory"
  | "symlink"
  | "hardlink"
  | "character-device"
  | "block-device"
  | "fifo";
