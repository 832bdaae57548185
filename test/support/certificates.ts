/** An authority of a test's own, and certificates that it signs, made by openssl. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram } from "./daemon.ts";

export interface Certificate {
  /** Paths of PEM files. */
  readonly certificate: string;
  readonly key: string;
}

export interface TestAuthority extends AsyncDisposable {
  /** Path of the authority's own certificate. */
  readonly certificate: string;
  /** A certificate for servers on 127.0.0.1 and localhost, and for clients. */
  sign(name: string, validity?: "valid" | "expired"): Promise<Certificate>;
}

export async function makeAuthority(): Promise<TestAuthority> {
  const directory = await mkdtemp(join(tmpdir(), "authority-"));
  const at = (name: string): string => join(directory, name);
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await openssl(
    "req",
    "-x509",
    ...newKey,
    "-subj",
    "/CN=Test authority",
    "-days",
    "2",
    "-keyout",
    at("ca.key"),
    "-out",
    at("ca.crt"),
  );
  await writeFile(at("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
  return {
    certificate: at("ca.crt"),
    async sign(name, validity = "valid") {
      const key = at(`${name}.key`);
      const request = at(`${name}.csr`);
      const certificate = at(`${name}.crt`);
      await openssl("req", ...newKey, "-subj", `/CN=${name}`, "-keyout", key, "-out", request);
      const days = validity === "valid" ? "2" : "-1";
      const authority = ["-CA", at("ca.crt"), "-CAkey", at("ca.key"), "-CAcreateserial"];
      await openssl(
        "x509",
        "-req",
        "-in",
        request,
        ...authority,
        "-days",
        days,
        "-extfile",
        at("names"),
        "-out",
        certificate,
      );
      return { certificate, key };
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

export async function pemOf(certificate: Certificate): Promise<{ cert: string; key: string }> {
  return {
    cert: await readFile(certificate.certificate, "utf8"),
    key: await readFile(certificate.key, "utf8"),
  };
}

async function openssl(...args: string[]): Promise<void> {
  const { code, stderr } = await runProgram(["openssl", ...args]);
  if (code !== 0) throw new Error(`openssl ${args[0]} ended with ${code}: ${stderr}`);
}
