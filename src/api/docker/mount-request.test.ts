import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { resolveMounts } from "../../engine/mounts/resolve-mounts.ts";
import { mountBody, translateMounts } from "./mount-request.ts";
import { mountPointOf } from "./mount-views.ts";

const none = { binds: [], mounts: [], tmpfs: {}, volumes: [] };
const binds = (...specs: string[]) => translateMounts({ ...none, binds: specs });
const mount = (body: Readonly<Record<string, unknown>>) =>
  translateMounts({ ...none, mounts: [v.parse(mountBody, body)] });

describe("mounts of the create request", () => {
  test("a source with a slash is a path, any other a volume", () => {
    expect(binds("/a/:/b/../c:ro,rslave", "data:/d:nocopy,z")).toMatchObject([
      { type: "bind", source: "/a", target: "/c", readOnly: true, propagation: "rslave", makeSource: true },
      { type: "volume", source: "data", target: "/d", readOnly: false, noCopy: true },
    ]);
  });

  test.each([
    [":/a", "write SOURCE:TARGET"],
    ["/a:b", "absolute path"],
    ["/a:/", "not the root"],
    ["/a:/b:ro:x", "write SOURCE:TARGET"],
    ["./a:/b", "absolute path of the host"],
    ["a/b:/c", "absolute path of the host"],
    ["/a:/b:nocopy", "no option of a bind"],
    ["a:/b:rslave", "no option of a volume"],
    ["/a:/b:rshared", "never reach the host"],
    ["/a:/b:wat", "no option"],
  ])("%p is refused", (spec, why) => {
    expect(() => binds(spec)).toThrow(why);
  });

  test("structured mounts", () => {
    const VolumeOptions = { NoCopy: true, Subpath: "in/side", DriverConfig: { Options: { type: "tmpfs" } } };
    expect(mount({ Type: "volume", Source: "v", Target: "/t", VolumeOptions })).toMatchObject([
      {
        type: "volume",
        source: "v",
        noCopy: true,
        subpath: "in/side",
        volume: { options: { type: "tmpfs" } },
      },
    ]);
    expect(
      mount({ Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: 4096, Mode: 0o1777 } }),
    ).toMatchObject([{ type: "tmpfs", options: ["nosuid", "nodev", "noexec", "size=4096", "mode=1777"] }]);
    expect(mount({ Type: "bind", Source: "/s", Target: "/t" })).toMatchObject([{ makeSource: false }]);
  });

  test.each([
    [{ Type: "npipe", Target: "/t" }, "use bind, volume or tmpfs"],
    [{ Type: "tmpfs", Target: "/t", Source: "x" }, "has none"],
    [{ Type: "bind", Source: "rel", Target: "/t" }, "absolute"],
    [{ Type: "bind", Source: "/s", Target: "/t", VolumeOptions: { NoCopy: true } }, "none of them"],
    [{ Type: "volume", Source: "v", Target: "/t", VolumeOptions: { Subpath: "../x" } }, "stays in it"],
    [{ Type: "bind", Source: "/s", Target: "/t", BindOptions: { NonRecursive: true } }, "not supported"],
  ])("%j is refused", (body, why) => {
    expect(() => mount(body)).toThrow(why);
  });

  test("tmpfs options are known ones", () => {
    const [request] = translateMounts({ ...none, tmpfs: { "/t": "size=1m,exec,ro" } });
    expect(request).toMatchObject({ readOnly: true, options: ["nosuid", "nodev", "size=1m", "exec"] });
    const Mode = 2 ** 40;
    expect(() => mount({ Type: "tmpfs", Target: "/t", TmpfsOptions: { Mode } })).toThrow("4095");
    expect(() => translateMounts({ ...none, tmpfs: { "/t": "lowerdir=/etc" } })).toThrow("tmpfs option");
  });
});

describe("which mounts a workload has", () => {
  const facts = {
    imageVolumes: ["/image", "/taken"],
    mountsOf: () => [],
    directoryOf: (volume: string) => `/volumes/${volume}`,
    places: "/places",
  };

  test("parents first; the image's volumes where nothing else is; two for one target are refused", () => {
    const mounts = resolveMounts(binds("data:/a/b", "/src:/taken", "/top:/a"), [], facts);
    expect(mounts.map(({ type, target, path, anonymous }) => [type, target, path, anonymous])).toEqual([
      ["bind", "/taken", "/src", false],
      ["bind", "/a", "/top", false],
      ["volume", "/image", expect.stringMatching(/^\/volumes\/[0-9a-f]{64}$/), true],
      ["volume", "/a/b", "/volumes/data", false],
    ]);
    expect(() => resolveMounts(binds("a1:/x", "b1:/x"), [], facts)).toThrow("two mounts have it");
  });

  test("another workload's come without being this one's to remove, read-only when asked", () => {
    const [own] = resolveMounts(binds("data:/d"), [], { ...facts, imageVolumes: [] });
    if (own === undefined) throw new Error("there is one");
    const inherit = { ...facts, imageVolumes: [], mountsOf: () => [{ ...own, anonymous: true }] };
    expect(resolveMounts([], ["other:ro"], inherit)).toMatchObject([
      { target: "/d", readOnly: true, anonymous: false },
    ]);
    expect(() => resolveMounts([], ["other:rx"], inherit)).toThrow("NAME:ro");
  });

  test("inspect shows the mode as it was given, and Docker's own for a volume without one", () => {
    const asked = binds("data:/d", "more:/m:ro,nocopy", "/src:/s:rslave,ro", "/top:/t");
    const mounts = resolveMounts(asked, [], { ...facts, imageVolumes: ["/image"] });
    expect(mounts.map(mountPointOf).map(({ Destination, Mode, RW }) => [Destination, Mode, RW])).toEqual([
      ["/d", "z", true],
      ["/m", "ro,nocopy", false],
      ["/s", "ro,rslave", false],
      ["/t", "", true],
      ["/image", "", true],
    ]);
  });
});
