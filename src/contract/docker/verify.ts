/** One line of POST /hull/v1/images/verify?repair= : exactly one of the members. */
export interface VerifyLine {
  readonly Damaged?: {
    readonly Kind: "blob" | "layer";
    readonly Digest: string;
    /** Names of images that have it, or their ids. */
    readonly Images: readonly string[];
    readonly Damage: string;
    readonly Repaired: boolean;
    /** Where what mended it came from, or why nothing could. */
    readonly Note: string;
  };
  readonly Done?: {
    /** Whether everything is whole now. */
    readonly Whole: boolean;
    readonly Blobs: number;
    readonly Layers: number;
  };
  readonly Error?: string;
}
