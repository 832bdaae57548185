import { expect, test } from "bun:test";
import { overlayOptions } from "./overlay.ts";

test("the top layer comes first, and what would end an option or a path is escaped", () => {
  expect(overlayOptions(["0", "1", "2"], "/w,x/upper", "/w\\x/work")).toBe(
    "lowerdir=2:1:0,upperdir=/w\\,x/upper,workdir=/w\\\\x/work,index=off,redirect_dir=off,metacopy=off",
  );
  expect(overlayOptions(["/a:b"], "/u", "/w")).toBe(
    "lowerdir=/a\\:b,upperdir=/u,workdir=/w,index=off,redirect_dir=off,metacopy=off",
  );
});
