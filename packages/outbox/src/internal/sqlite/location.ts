/**
 * Where an outbox's file really is, and whether it can be used there.
 *
 * SQLite keeps `FILE-wal` and `FILE-shm` beside the file, and the dispatcher keeps its lock there, `FILE-dispatcher`. All
 * three are found by their names, so whoever opens the file must know it by the same one: the real path, with no symbolic
 * link in it. What has two real paths, or lies where another machine may open it as well, is refused: two processes would
 * both dispatch it, and damage it (https://sqlite.org/howtocorrupt.html, sections 2.3 and 2.5).
 *
 * A folder that is mounted in two places is no trouble, as its files are the same in both.
 */
import { lstatSync, readFileSync, readlinkSync, realpathSync, statfsSync, statSync } from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"

/** Why a file cannot be used where it is, and what to do. */
export interface Misplaced {
  readonly problem: string
  readonly hint: string
}

/** A file's real path, also of one that is not there yet. Gives the path as it is where something is wrong with it. */
export const realPath = (path: string): string => {
  if (path === ":memory:" || path === "") return path
  const file = from(process.cwd(), path.startsWith("file:/") ? fileURLToPath(path) : path)
  try {
    return realpathSync.native(file)
  } catch {
    return realPathOfNew(file)
  }
}

/** The file that would be made: a link to what is not there yet is followed, as SQLite follows it. */
const realPathOfNew = (file: string): string => {
  let at = file
  for (let links = 0; links < mostLinks; links++) {
    try {
      const folder = realpathSync.native(Path.dirname(at))
      at = Path.join(folder, Path.basename(at))
      if (!lstatSync(at).isSymbolicLink()) return at
      at = from(folder, readlinkSync(at))
    } catch {
      // Nothing is there, or its folder is not: SQLite says what is wrong, if it is.
      return at
    }
  }
  return file
}

/** A path as the system takes it. Without its `..` it would be another one where a link comes before. */
const from = (folder: string, path: string): string => (Path.isAbsolute(path) ? path : `${folder}${Path.sep}${path}`)

/** As many as Linux follows. */
const mostLinks = 40

/** What is wrong with the place of a file that is known by its real path; `undefined` where nothing is seen to be. */
export const faultOf = (path: string, mounts: string = mountTable()): Misplaced | undefined => {
  const mount = mountOf(path, mounts)
  if (mount?.point === path) {
    return {
      problem: `${path} is mounted alone, so what belongs beside it (-wal, -shm, -dispatcher) is not beside the real file`,
      hint: "mount the folder that it lies in instead of the file"
    }
  }
  const network = networkOf(path, mount)
  if (network !== undefined) {
    return {
      problem: `it lies on a network file system (${network}), where SQLite's locks do not keep other machines out`,
      hint: "put it on a local disk; for an outbox that several machines share there is PostgreSQL"
    }
  }
  const names = namesOf(path)
  return names > 1
    ? {
        problem: `it has ${names} names (hard links), and SQLite keeps what is not yet in it (-wal) beside the name that it was opened by, so two names damage it`,
        hint: `keep one name: find the others with find DIR -samefile ${path} and remove them, or copy the file with sqlite3 ${path} "VACUUM INTO 'COPY'" and use the copy`
      }
    : undefined
}

/** What is wrong with a file that is no longer what `identityOf` told when it was opened. */
export const moved: Misplaced = {
  problem: "it was moved, replaced or removed while it was open",
  hint: "move it back, or start anew what has it open; move or replace an outbox's file only while nobody has it open"
}

/** Tells one file from another, whatever their names; `undefined` for none. */
export const identityOf = (path: string): string | undefined => {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false })
  return stats && `${stats.dev}:${stats.ino}`
}

const namesOf = (path: string): number => {
  try {
    const stats = statSync(path)
    return stats.isFile() ? stats.nlink : 1
  } catch {
    return 1
  }
}

interface Mount {
  readonly point: string
  readonly type: string
}

/** What is mounted where, as Linux tells it (proc(5), /proc/PID/mountinfo); empty elsewhere. */
const mountTable = (): string => {
  try {
    return readFileSync("/proc/self/mountinfo", "utf8")
  } catch {
    return ""
  }
}

/** The mount that a file belongs to. */
const mountOf = (path: string, mounts: string): Mount | undefined => {
  let found: Mount | undefined
  for (const line of mounts.split("\n")) {
    const [before, after] = line.split(" - ")
    const point = unescaped(before!.split(" ")[4] ?? "")
    // Of several at one point the last one is on top.
    if (after === undefined || !holds(point, path) || (found !== undefined && point.length < found.point.length))
      continue
    found = { point, type: after.split(" ")[0]! }
  }
  return found
}

const holds = (point: string, path: string): boolean =>
  path === point || path.startsWith(point.endsWith("/") ? point : `${point}/`)

/** Space, tab, line end and backslash are written as `\040` and so on. */
const unescaped = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)))

/** The kind of a file system that other machines write to as well. */
const networkOf = (path: string, mount: Mount | undefined): string | undefined => {
  if (mount !== undefined) return networkTypes.test(mount.type) ? mount.type : undefined
  try {
    return networkMagic.get(statfsSync(Path.dirname(path)).type >>> 0)
  } catch {
    return undefined
  }
}

/**
 * A `fuse` by itself tells nothing: virtiofs and ntfs-3g are local, and are what containers on a desktop have. Those of
 * FUSE that reach over a network say so in their type.
 */
const networkTypes =
  /^(nfs4?|cifs|smb3?|smbfs|ncpfs|afs|coda|ceph|glusterfs|lustre|gfs2?|ocfs2|beegfs|gpfs|orangefs|davfs|fuse\.(sshfs|glusterfs|s3fs|gcsfuse|goofys|geesefs|rclone|ceph(-fuse)?|davfs2?|curlftpfs|lizardfs|mfs|moosefs|juicefs.*|blobfuse2?|mount-s3|smbnetfs))$/i

/** The same as statfs(2) has it, where the mounts cannot be read. */
const networkMagic: ReadonlyMap<number, string> = new Map([
  [0x6969, "nfs"],
  [0x517b, "smb"],
  [0xfe534d42, "smb"],
  [0xff534d42, "cifs"],
  [0x564c, "ncp"],
  [0x5346414f, "afs"],
  [0x73757245, "coda"],
  [0x00c36400, "ceph"],
  [0x0bd00bd0, "lustre"],
  [0x01161970, "gfs2"],
  [0x7461636f, "ocfs2"]
])
