import { expect, test } from "bun:test";
import { proxyFor, takeProxies } from "./proxy.ts";

const proxies = { http: "http://plain:1", https: "http://tls:2" };
const via = (url: string, except: string): string | undefined =>
  proxyFor(new URL(url), { ...proxies, except });

test("each scheme has its proxy, and this machine needs none", () => {
  expect(via("https://r.example.com/v2/", "")).toBe("http://tls:2");
  expect(via("http://r.example.com/v2/", "")).toBe("http://plain:1");
  for (const local of ["http://localhost:5000/", "https://127.0.0.2/", "http://[::1]:5000/"])
    expect(via(local, "")).toBeUndefined();
});

test.each([
  ["*", true],
  ["example.com", true],
  ["r.example.com", true],
  [".example.com", true],
  ["*.example.com", true],
  ["other.com, EXAMPLE.com", true],
  ["r.example.com:443", true],
  ["r.example.com:5000", false],
  ["xample.com", false],
  [".r.example.com", false],
  ["10.0.0.0/8", false],
])("NO_PROXY %s", (except, exempt) => {
  expect(via("https://r.example.com/", except) === undefined).toBe(exempt);
});

test.each([
  ["10.0.0.0/8", true],
  ["10.1.2.3", true],
  ["11.0.0.0/8", false],
  ["10.1.2.0/33", false],
  ["fd00::/8", false],
  [".2.3", false],
])("NO_PROXY %s for an address", (except, exempt) => {
  expect(via("https://10.1.2.3/", except) === undefined).toBe(exempt);
});

test("addresses of version 6 are exempt by network and by themselves", () => {
  expect(via("https://[fd00::7]:5000/", "fd00::/8")).toBeUndefined();
  expect(via("https://[fd00::7]:5000/", "fd00::7")).toBeUndefined();
  expect(via("https://[fd00::7]:5000/", "fe00::/8")).toBe("http://tls:2");
});

test("the environment is read once and taken away; what is no proxy is refused without its password", () => {
  const environment: Record<string, string | undefined> = {
    HTTPS_PROXY: "proxy:3128",
    http_proxy: "http://p",
    NO_PROXY: "a",
    X: "y",
  };
  expect(takeProxies(environment)).toEqual({ http: "http://p", https: "http://proxy:3128", except: "a" });
  expect(environment).toEqual({ X: "y" });
  expect(() => takeProxies({ HTTPS_PROXY: "socks5://me:secret@p:1" })).toThrow("socks5://…@p:1");
  expect(() => takeProxies({ HTTPS_PROXY: "socks5://me:s@cret@p:1" })).toThrow("socks5://…@p:1");
  expect(() => takeProxies({ HTTPS_PROXY: "me:secret@p:99999" })).toThrow("HTTPS_PROXY …@p:99999");
});
