/** What this host gives the wall: its programs, how guests run on it, and what that makes of the wall. */
import { HullError } from "../../contract/errors.ts";
import { OciRuntime } from "../oci/runtime.ts";
import type { WallFeatures } from "../wall.ts";
import { type AccelerationFacts, AccelerationProbe } from "./acceleration.ts";
import { findPrograms, type Missing, type VmPrograms } from "./programs.ts";

export interface VmHostOptions {
  /** What guest/build.sh made. */
  readonly guestDirectory: string;
  /** Gone after a reboot. */
  readonly stateDirectory: string;
  /** Refuses to run without hardware virtualization. */
  readonly requireKvm: boolean;
  /** Names looked up in PATH, or paths. */
  readonly runtime: string;
  readonly conmon: string;
  readonly qemu: string;
}

export interface HostParts {
  readonly programs: VmPrograms;
  readonly facts: AccelerationFacts;
  readonly runtime: OciRuntime;
}

export class VmHost {
  readonly #options: VmHostOptions;
  readonly #probe: AccelerationProbe;
  #runtime: OciRuntime | undefined;

  constructor(options: VmHostOptions) {
    this.#options = options;
    this.#probe = new AccelerationProbe(options);
  }

  find(): VmPrograms | Missing {
    return findPrograms(this.#options);
  }

  programs(): VmPrograms {
    const found = this.find();
    if ("missing" in found) throw new HullError("hostMissing", { what: found.missing, remedy: found.remedy });
    return found;
  }

  /** Throws where the wall is not to be used. */
  async parts(): Promise<HostParts> {
    const programs = this.programs();
    const facts = await this.look(programs);
    if (facts.acceleration === "tcg" && this.#options.requireKvm)
      throw new HullError("kvmRequired", { why: facts.why });
    return { programs, facts, runtime: this.oci(programs) };
  }

  /** Whether the host can run a guest with KVM, whatever is required. */
  look(programs: VmPrograms): Promise<AccelerationFacts> {
    return this.#probe.look(programs);
  }

  oci(programs: VmPrograms = this.programs()): OciRuntime {
    this.#runtime ??= new OciRuntime({
      runtime: programs.runtime,
      conmon: programs.conmon,
      runtimeRoot: `${this.#options.stateDirectory}/oci`,
    });
    return this.#runtime;
  }

  async features(): Promise<WallFeatures> {
    const found = this.find();
    if ("missing" in found) return missing(found);
    return this.#featuresBy(await this.look(found));
  }

  /** Without waiting for the try of KVM. */
  featuresSoFar(): WallFeatures {
    const found = this.find();
    if ("missing" in found) return missing(found);
    const facts = this.#probe.known();
    if (facts !== undefined) return this.#featuresBy(facts);
    const warning = "whether this host runs guests with KVM is tried when the first virtual machine is made";
    return { label: "vm (untried)", sharesKernel: false, warning };
  }

  #featuresBy(facts: AccelerationFacts): WallFeatures {
    const label = facts.acceleration === "kvm" ? "vm" : "vm (tcg)";
    if (facts.acceleration === "tcg" && this.#options.requireKvm)
      return { label, sharesKernel: false, unavailable: `vm.requireKvm is set, but ${facts.why}` };
    return {
      label,
      sharesKernel: false,
      ...(facts.acceleration === "tcg" ? { warning: tcgWarning(facts) } : {}),
    };
  }
}

function missing({ missing, remedy }: Missing): WallFeatures {
  return { label: "vm", sharesKernel: false, unavailable: `${missing}: ${remedy}` };
}

function tcgWarning({ why }: AccelerationFacts): string {
  return `the vm wall runs without hardware virtualization (${why}): software emulation (TCG) is slow and no security boundary`;
}
