/**
 * The tree that a layer's members describe, in memory, metadata only. Nothing here touches a file system, so no
 * name can reach outside of it: symlinks on the way to a member are followed inside the tree, as they would be in a
 * chroot, and `..` in a member's name is refused.
 *
 * A later member replaces an earlier one of the same name, as when GNU tar unpacks; a directory given twice keeps
 * its children and gets the new attributes. Whiteouts (OCI image-spec, layer.md) become overlayfs' own.
 */
import { HullError } from "../../contract/errors.ts";
import type { TarEntry } from "../tar/entry.ts";
import { tarLimits } from "../tar/limits.ts";
import { printable } from "../tar/parser.ts";
import {
  type Attributes,
  type DirectoryInode,
  type FileInode,
  type Inode,
  impliedAttributes,
  newDirectory,
  type SpecialInode,
} from "./inode.ts";
import { keepXattrs } from "./xattrs.ts";

const whiteoutPrefix = ".wh.";
const whiteoutMetaPrefix = ".wh..wh.";
const opaqueMarker = ".wh..wh..opq";
/** As many symlinks as Linux follows in one path. */
const maxSymlinks = 40;
/** Parts of all targets that are followed on the way to all members: a few bytes may ask for 80,000 steps each. */
const maxFollowed = 20_000_000;
/** Rough bytes that one inode and its place in a directory take in memory. */
const inodeCost = 500;
const memoryLimit = 512 * 1024 * 1024;

export class LayerTree {
  readonly root: DirectoryInode = newDirectory(impliedAttributes(), undefined);
  readonly #what: string;
  #memory = 0;
  #followed = 0;

  /** `what` names the layer in errors. */
  constructor(what: string) {
    this.#what = what;
  }

  /** Takes one member; returns the file that its data belongs to, if it has any. */
  apply(entry: TarEntry): FileInode | undefined {
    const components = this.#split(entry, entry.path);
    const name = components.pop();
    if (name === undefined) {
      this.#updateRoot(entry);
      return undefined;
    }
    if (components.some((component) => component.startsWith(whiteoutPrefix))) {
      // AUFS kept its own files in such directories.
      if (components[0]?.startsWith(whiteoutMetaPrefix) === true) return undefined;
      throw this.#corrupt(entry, "a directory in its name is a whiteout");
    }
    if (name.startsWith(whiteoutPrefix)) {
      this.#whiteOut(entry, components, name);
      return undefined;
    }
    const parent = this.#walk(entry, components, "make");
    switch (entry.type) {
      case "directory":
        this.#makeDirectory(entry, parent, name);
        return undefined;
      case "hardlink":
        this.#link(entry, parent, name);
        return undefined;
      case "file": {
        const file: FileInode = {
          kind: "file",
          ...this.#attributes(entry),
          links: 0,
          nid: 0,
          size: entry.size,
          data: { kind: "row", block: 0 },
        };
        this.#put(parent, name, file);
        return file;
      }
      case "symlink":
        this.#symlink(entry, parent, name);
        return undefined;
      default:
        this.#put(parent, name, this.#special(entry, entry.type));
        return undefined;
    }
  }

  /** Counts memory that belongs to the tree against the limit. */
  charge(bytes: number): void {
    this.#memory += bytes;
    if (this.#memory > memoryLimit)
      throw new HullError("tooLarge", {
        what: this.#what,
        value: "the metadata of its members",
        limit: `${memoryLimit} bytes`,
      });
  }

  #countSteps(steps: number): void {
    this.#followed += steps;
    if (this.#followed > maxFollowed)
      throw new HullError("tooLarge", {
        what: this.#what,
        value: "the way through symbolic links to its members",
        limit: `${maxFollowed} steps`,
      });
  }

  #corrupt(entry: TarEntry, why: string): HullError {
    const place = `the member ${printable(entry.path)} at byte ${entry.offset}`;
    return new HullError("corrupt", { what: this.#what, why: `${place}: ${why}` });
  }

  /** The components of a name, without empty ones and `.`. */
  #split(entry: TarEntry, path: string): string[] {
    const components = path.split("/").filter((component) => component !== "" && component !== ".");
    for (const component of components) {
      if (component === "..") throw this.#corrupt(entry, `${printable(path)} has a ".." in it`);
      if (component.length > tarLimits.componentBytes)
        throw this.#corrupt(
          entry,
          `a part of its name is over the limit of ${tarLimits.componentBytes} bytes`,
        );
    }
    return components;
  }

  /** Finds a directory from the root on; with `make`, directories that are missing are made. */
  #walk(entry: TarEntry, components: readonly string[], missing: "make" | "refuse"): DirectoryInode {
    let directory = this.root;
    let symlinks = 0;
    const ahead = components.toReversed();
    for (let name = ahead.pop(); name !== undefined; name = ahead.pop()) {
      if (name === "" || name === ".") continue;
      if (name === "..") {
        directory = directory.parent;
        continue;
      }
      const child = directory.children.get(name);
      if (child?.kind === "directory") directory = child;
      else if (child?.kind === "symlink") {
        symlinks++;
        if (symlinks > maxSymlinks) throw this.#corrupt(entry, "too many symbolic links on the way to it");
        if (child.target.startsWith("/")) directory = this.root;
        const steps = child.target.split("/").toReversed();
        this.#countSteps(steps.length);
        ahead.push(...steps);
      } else if (child === undefined || (child.kind === "character-device" && child.whiteout)) {
        if (missing === "refuse") throw this.#corrupt(entry, "what it links to is not in the archive");
        if (name.length > tarLimits.componentBytes || name.startsWith(whiteoutPrefix))
          throw this.#corrupt(
            entry,
            `${printable(name)}, where a symbolic link on the way leads, cannot be made`,
          );
        directory = this.#addDirectory(directory, name, impliedAttributes());
      } else throw this.#corrupt(entry, `${printable(name)} on the way to it is not a directory`);
    }
    return directory;
  }

  #attributes(entry: TarEntry): Attributes {
    const xattrs = keepXattrs(entry.xattrs, entry.type);
    let bytes = 0;
    for (const [name, value] of xattrs ?? []) bytes += name.length + value.length + 100;
    this.charge(bytes);
    return {
      mode: entry.mode,
      uid: entry.uid,
      gid: entry.gid,
      mtimeSeconds: entry.mtime.seconds,
      mtimeNanoseconds: entry.mtime.nanoseconds,
      xattrs,
    };
  }

  #updateRoot(entry: TarEntry): void {
    if (entry.type !== "directory") throw this.#corrupt(entry, "its name is that of the root directory");
    updateDirectory(this.root, this.#attributes(entry));
  }

  #makeDirectory(entry: TarEntry, parent: DirectoryInode, name: string): void {
    const attributes = this.#attributes(entry);
    const child = parent.children.get(name);
    if (child?.kind === "directory") updateDirectory(child, attributes);
    else this.#addDirectory(parent, name, attributes);
  }

  /** A directory in the place of a whiteout hides what the lower layers have under its name. */
  #addDirectory(parent: DirectoryInode, name: string, attributes: Attributes): DirectoryInode {
    const before = parent.children.get(name);
    const directory = newDirectory(attributes, parent);
    directory.opaque = before?.kind === "character-device" && before.whiteout;
    this.#put(parent, name, directory);
    return directory;
  }

  #symlink(entry: TarEntry, parent: DirectoryInode, name: string): void {
    if (entry.linkTarget === "" || entry.linkTarget.length >= tarLimits.pathBytes)
      throw this.#corrupt(entry, `its target has ${entry.linkTarget.length} bytes: it must have 1 to 4095`);
    this.charge(entry.linkTarget.length);
    this.#put(parent, name, {
      kind: "symlink",
      ...this.#attributes(entry),
      mode: 0o777,
      links: 0,
      nid: 0,
      target: entry.linkTarget,
    });
  }

  /** The link is to the name itself: a symlink there is linked to, not what it points to. */
  #link(entry: TarEntry, parent: DirectoryInode, name: string): void {
    const components = this.#split(entry, entry.linkTarget);
    const targetName = components.pop();
    const target =
      targetName === undefined ? this.root : this.#walk(entry, components, "refuse").children.get(targetName);
    if (target === undefined || (target.kind === "character-device" && target.whiteout))
      throw this.#corrupt(entry, `${printable(entry.linkTarget)}, which it links to, is not in the archive`);
    if (target.kind === "directory")
      throw this.#corrupt(entry, `${printable(entry.linkTarget)}, which it links to, is a directory`);
    if (parent.children.get(name) !== target) this.#put(parent, name, target);
  }

  #special(entry: TarEntry, kind: SpecialInode["kind"]): SpecialInode {
    const device = kind === "character-device" || kind === "block-device";
    const major = device ? entry.deviceMajor : 0;
    const minor = device ? entry.deviceMinor : 0;
    if (major < 0 || major > 0xfff || minor < 0 || minor > 0xf_ffff)
      throw this.#corrupt(entry, `there is no device ${major}:${minor}`);
    const whiteout = kind === "character-device" && major === 0 && minor === 0;
    return { kind, ...this.#attributes(entry), links: 0, nid: 0, major, minor, whiteout };
  }

  /** A whiteout hides what lower layers have, never what this layer has itself, whichever comes first. */
  #whiteOut(entry: TarEntry, components: string[], name: string): void {
    if (name === opaqueMarker) {
      this.#walk(entry, components, "make").opaque = true;
      return;
    }
    if (name.startsWith(whiteoutMetaPrefix)) return;
    const hidden = name.slice(whiteoutPrefix.length);
    if (hidden === "" || hidden === "." || hidden === "..")
      throw this.#corrupt(entry, "it is a whiteout of no name");
    const parent = this.#walk(entry, components, "make");
    const child = parent.children.get(hidden);
    if (child === undefined)
      this.#put(parent, hidden, {
        kind: "character-device",
        ...impliedAttributes(),
        mode: 0,
        links: 0,
        nid: 0,
        major: 0,
        minor: 0,
        whiteout: true,
      });
    else if (child.kind === "directory") child.opaque = true;
  }

  #put(parent: DirectoryInode, name: string, inode: Inode): void {
    this.charge(inodeCost + name.length);
    const before = parent.children.get(name);
    if (before !== undefined) unlink(before);
    parent.children.set(name, inode);
    inode.links++;
  }
}

function updateDirectory(directory: DirectoryInode, attributes: Attributes): void {
  // Unpacking sets attributes on what is there, so those given earlier and not now stay.
  const xattrs =
    directory.xattrs === undefined
      ? attributes.xattrs
      : new Map([...directory.xattrs, ...(attributes.xattrs ?? [])]);
  Object.assign(directory, attributes, { xattrs });
}

/** Takes one name away from an inode, and from everything below it. */
function unlink(inode: Inode): void {
  const stack: Inode[] = [inode];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    next.links--;
    if (next.kind === "directory") for (const child of next.children.values()) stack.push(child);
  }
}
