import { expect, test } from "bun:test";
import { binarySize, decimalSize, ellipsis, humanDuration, shortId } from "./human.ts";

test.each([
  [0, "Less than a second"],
  [1, "1 second"],
  [59, "59 seconds"],
  [60, "About a minute"],
  [119, "About a minute"],
  [120, "2 minutes"],
  [3599, "59 minutes"],
  [3600, "About an hour"],
  [7200, "2 hours"],
  [47 * 3600, "47 hours"],
  [3 * 86400, "3 days"],
  [21 * 86400, "3 weeks"],
  [90 * 86400, "3 months"],
  [3 * 365 * 86400, "3 years"],
  [-5, "Less than a second"],
])("%d seconds are %s", (seconds, text) => {
  expect(humanDuration(seconds * 1000)).toBe(text);
});

test.each([
  [0, "0B"],
  [999, "999B"],
  [1000, "1kB"],
  [7_830_000, "7.83MB"],
  [123_456_789, "123MB"],
  [1_234_000_000, "1.23GB"],
])("%d bytes are %s", (bytes, text) => {
  expect(decimalSize(bytes)).toBe(text);
});

test("units of 1024 have four digits", () => {
  expect(binarySize(392 * 1024)).toBe("392KiB");
  expect(binarySize(1.5 * 2 ** 30)).toBe("1.5GiB");
  expect(binarySize(12_345_678)).toBe("11.77MiB");
});

test("ids are cut to twelve digits and texts end in an ellipsis", () => {
  expect(shortId(`sha256:${"0123456789ab".repeat(5)}cdef`)).toBe("0123456789ab");
  expect(ellipsis("0123456789", 5)).toBe("0123…");
  expect(ellipsis("01234", 5)).toBe("01234");
});
