/**
 * What a volume is: a directory that outlives the workloads it is mounted in. The one driver is `local`, Docker's:
 * the files are in a directory of Hull's, or on what its options mount there.
 */

export interface Volume {
  readonly name: string;
  /** Of the local driver, as the client gave them: `type`, `device`, `o` as of mount(8). */
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** Made for one workload, without a name of its own. */
  readonly anonymous: boolean;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Directory of its files; those of a volume with options are there only while it is in use. */
  readonly mountpoint: string;
}

export interface VolumeRequest {
  /** Empty: one is made up. */
  readonly name: string;
  readonly anonymous: boolean;
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}
