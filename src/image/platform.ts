/** Platforms as images name them: `os/architecture[/variant]`. Source: OCI image-spec, image-index.md; GOARCH. */
import { HullError } from "../contract/errors.ts";

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  /** Empty when it does not matter. */
  readonly variant: string;
}

const architectures: Readonly<Record<string, string>> = {
  x64: "amd64",
  ia32: "386",
  x86_64: "amd64",
  aarch64: "arm64",
};

export function hostPlatform(): Platform {
  return { os: "linux", architecture: architectures[process.arch] ?? process.arch, variant: "" };
}

/** Empty: the host's. Throws `invalidParameter`. */
export function parsePlatform(text: string): Platform {
  if (text === "") return hostPlatform();
  const [os, architecture, variant, ...more] = text.toLowerCase().split("/");
  if (os === undefined || !/^[a-z0-9]+$/.test(os) || more.length > 0 || architecture === "")
    throw new HullError("invalidParameter", {
      what: "platform",
      value: text,
      why: "use os/architecture[/variant]",
    });
  if (architecture === undefined) {
    // One word is an operating system or an architecture.
    return os === "linux"
      ? hostPlatform()
      : { os: "linux", architecture: architectures[os] ?? os, variant: "" };
  }
  return { os, architecture: architectures[architecture] ?? architecture, variant: variant ?? "" };
}

export function formatPlatform(platform: Platform): string {
  return [platform.os, platform.architecture, platform.variant].filter((part) => part !== "").join("/");
}

/** How well an image's platform serves: larger is better, 0 not at all. */
export function matchPlatform(wanted: Platform, offered: Platform): number {
  if (offered.os !== wanted.os || offered.architecture !== wanted.architecture) return 0;
  const offeredVariant = normalVariant(offered);
  const wantedVariant = normalVariant(wanted);
  if (wantedVariant === offeredVariant) return 3;
  return wanted.variant === "" ? 2 : 0;
}

/** arm64 is v8 when nothing is said, arm is v7. */
function normalVariant(platform: Platform): string {
  if (platform.variant !== "") return platform.variant;
  return platform.architecture === "arm64" ? "v8" : platform.architecture === "arm" ? "v7" : "";
}
