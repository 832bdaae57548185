import { expect, test } from "bun:test";
import { defaultRegistrySettings } from "../../image/registry/settings.ts";
import { registryInfo } from "./registry-info.ts";

test("credentials of proxies and mirrors are told to nobody, whatever characters they have", () => {
  const info = registryInfo({
    ...defaultRegistrySettings,
    mirrors: { "docker.io": ["https://me:s@cret@mirror.example"] },
    proxies: { http: "http://me:s@cret@proxy.example:3128", https: "", except: "" },
  });
  expect(info.HttpProxy).toBe("http://xxxxx:xxxxx@proxy.example:3128");
  expect(JSON.stringify(info)).not.toContain("cret");
});
