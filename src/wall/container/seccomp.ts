/**
 * The seccomp filter: the distribution's profile (the format of Docker and containers-common, whose rules hold
 * for some capabilities, architectures and kernels) as the plain rules of an OCI config.
 */
import * as v from "valibot";
import { HullError, messageOf } from "../../contract/errors.ts";
import type { OciSeccomp, OciSeccompRule } from "../oci/config.ts";

const condition = v.object({
  caps: v.optional(v.nullable(v.array(v.string()))),
  arches: v.optional(v.nullable(v.array(v.string()))),
  minKernel: v.optional(v.nullable(v.string())),
});

const profileSchema = v.object({
  defaultAction: v.string(),
  defaultErrnoRet: v.optional(v.nullable(v.number())),
  archMap: v.optional(
    v.nullable(
      v.array(
        v.object({
          architecture: v.string(),
          subArchitectures: v.optional(v.nullable(v.array(v.string()))),
        }),
      ),
    ),
  ),
  syscalls: v.array(
    v.object({
      name: v.optional(v.string()),
      names: v.optional(v.array(v.string())),
      action: v.string(),
      args: v.optional(
        v.nullable(
          v.array(
            v.object({
              index: v.number(),
              value: v.number(),
              valueTwo: v.optional(v.number()),
              op: v.string(),
            }),
          ),
        ),
      ),
      errnoRet: v.optional(v.nullable(v.number())),
      includes: v.optional(v.nullable(condition)),
      excludes: v.optional(v.nullable(condition)),
    }),
  ),
});

export type SeccompProfile = v.InferOutput<typeof profileSchema>;

/** What the rules of a profile depend on. */
export interface SeccompFacts {
  readonly capabilities: readonly string[];
  /** As Node names it. */
  readonly architecture: "x64" | "arm64";
  /** `uname -r`. */
  readonly kernel: string;
}

export function parseSeccompProfile(text: string, path: string): SeccompProfile {
  try {
    return v.parse(profileSchema, JSON.parse(text));
  } catch (error) {
    throw new HullError(
      "corrupt",
      { what: `the seccomp profile ${path}`, why: messageOf(error) },
      { cause: error },
    );
  }
}

/** Go's and libseccomp's names of the architectures Hull runs on. */
const architectureNames = {
  x64: { go: "amd64", native: "SCMP_ARCH_X86_64" },
  arm64: { go: "arm64", native: "SCMP_ARCH_AARCH64" },
} as const;

export function seccompFor(profile: SeccompProfile, facts: SeccompFacts): OciSeccomp {
  const { go, native } = architectureNames[facts.architecture];
  const map = profile.archMap?.find(({ architecture }) => architecture === native);
  const syscalls: OciSeccompRule[] = [];
  for (const rule of profile.syscalls) {
    const names = rule.names ?? (rule.name === undefined ? [] : [rule.name]);
    if (names.length === 0 || !applies(rule, go, facts)) continue;
    syscalls.push({
      names,
      action: rule.action,
      ...(rule.errnoRet == null ? {} : { errnoRet: rule.errnoRet }),
      ...(rule.args == null || rule.args.length === 0
        ? {}
        : {
            args: rule.args.map(({ index, value, valueTwo, op }) => ({
              index,
              value,
              op,
              ...(valueTwo === undefined ? {} : { valueTwo }),
            })),
          }),
    });
  }
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet == null ? {} : { defaultErrnoRet: profile.defaultErrnoRet }),
    architectures: [native, ...(map?.subArchitectures ?? [])],
    syscalls,
  };
}

function applies(rule: SeccompProfile["syscalls"][number], arch: string, facts: SeccompFacts): boolean {
  const { includes, excludes } = rule;
  const has = (capability: string): boolean => facts.capabilities.includes(capability);
  if (excludes?.arches?.includes(arch) || excludes?.caps?.some(has)) return false;
  if (excludes?.minKernel != null && kernelAtLeast(facts.kernel, excludes.minKernel)) return false;
  if (includes?.arches != null && includes.arches.length > 0 && !includes.arches.includes(arch)) return false;
  if (includes?.caps != null && !includes.caps.every(has)) return false;
  return includes?.minKernel == null || kernelAtLeast(facts.kernel, includes.minKernel);
}

/** Compares `6.18.44-something` with `4.8`. */
export function kernelAtLeast(kernel: string, wanted: string): boolean {
  const [major = 0, minor = 0] = kernel.split(/[.-]/).map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split(".").map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}
