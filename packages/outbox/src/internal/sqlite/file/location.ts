/**
 * Finds the real path of an outbox's file, and checks whether the file can be used there.
 *
 * SQLite keeps `FILE-wal` and `FILE-shm` beside the file, and the dispatcher keeps its lock there, `FILE-dispatcher`.
 * All three are found by their names, so every process must open the file by the same name: the real path, with no
 * symbolic link in it. A file that has two real paths, or lies where another machine may open it as well, is refused:
 * two processes would both dispatch it and damage it (https://sqlite.org/howtocorrupt.html, sections 2.3 and 2.5).
 *
 * A folder that is mounted in two places is harmless, because its files are the same in both.
 */
import { lstatSync, readFileSync, readlinkSync, realpathSync, statfsSync, statSync } from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"

/** The reason why a file cannot be used at its location, and a remedy. */
export interface Misplaced {
  readonly problem: string
  readonly hint: string
}

/** The real path of a file, which need not exist yet. Returns the path unchanged if it cannot be resolved. */
export const realPath = (path: string): string => {
  if (path === ":memory:" || path === "") return path
  const file = from(process.cwd(), path.startsWith("file:/") ? fileURLToPath(path) : path)
  try {
    return realpathSync.native(file)
  } catch {
    return realPathOfNew(file)
  }
}

/** The path of a file to be created. It follows a link to a missing file, as SQLite does. */
const realPathOfNew = (file: string): string => {
  let at = file
  for (let links = 0; links < mostLinks; links++) {
    try {
      const folder = realpathSync.native(Path.dirname(at))
      at = Path.join(folder, Path.basename(at))
      if (!lstatSync(at).isSymbolicLink()) return at
      at = from(folder, readlinkSync(at))
    } catch {
      // The file or its folder is missing. If that is a fault, SQLite reports it.
      return at
    }
  }
  return file
}

/** A path as the system resolves it. Removing `..` would change the path if a link comes before it. */
const from = (folder: string, path: string): string => (Path.isAbsolute(path) ? path : `${folder}${Path.sep}${path}`)

/** The same limit as in Linux. */
const mostLinks = 40

/** Returns the fault of a file's location, given its real path; `undefined` if none is visible. */
export const faultOf = (path: string, mounts: string = mountTable()): Misplaced | undefined => {
  if (path === "") {
    return {
      problem: "its path is empty, and SQLite would keep the messages only until the process ends",
      hint: 'give the path of a file, or ":memory:" if that is meant'
    }
  }
  const mount = mountOf(path, mounts)
  if (mount?.point === path) {
    return {
      problem: `${path} is mounted alone, so its companions (-wal, -shm, -dispatcher) do not lie beside the real file`,
      hint: "mount the folder that holds the file instead of the file"
    }
  }
  const network = networkOf(path, mount)
  if (network !== undefined) {
    return {
      problem: `it lies on a network file system (${network}), where SQLite's locks do not keep other machines out`,
      hint: "put it on a local disk; to share an outbox between machines, use PostgreSQL"
    }
  }
  const names = namesOf(path)
  return names > 1
    ? {
        problem: `it has ${names} names (hard links), and SQLite keeps its log (-wal) beside the name that it was opened by, so two names damage it`,
        hint: `keep one name: find the others with find DIR -samefile ${path} and remove them, or copy the file with sqlite3 ${path} "VACUUM INTO 'COPY'" and use the copy`
      }
    : undefined
}

/** The fault of a file whose `identityOf` has changed since it was opened. */
export const moved: Misplaced = {
  problem: "it was moved, replaced or removed while it was open",
  hint: "move it back, or restart the processes that have it open; move or replace an outbox's file only while no process has it open"
}

/** Identifies a file, whatever its name; `undefined` if there is no file. */
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

/** The mounts as Linux lists them (proc(5), /proc/PID/mountinfo); empty elsewhere. */
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
    // Of several mounts at one point, the last is on top.
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

/** The type of a file system to which other machines write as well. */
const networkOf = (path: string, mount: Mount | undefined): string | undefined => {
  if (mount !== undefined) return networkTypes.test(mount.type) ? mount.type : undefined
  try {
    return networkMagic.get(statfsSync(Path.dirname(path)).type >>> 0)
  } catch {
    return undefined
  }
}

/**
 * Plain `fuse` may be local: virtiofs and ntfs-3g are, and containers on a desktop use them. FUSE file systems that
 * reach over a network name themselves in their type.
 */
const networkTypes =
  /^(nfs4?|cifs|smb3?|smbfs|ncpfs|afs|coda|ceph|glusterfs|lustre|gfs2?|ocfs2|beegfs|gpfs|orangefs|davfs|fuse\.(sshfs|glusterfs|s3fs|gcsfuse|goofys|geesefs|rclone|ceph(-fuse)?|davfs2?|curlftpfs|lizardfs|mfs|moosefs|juicefs.*|blobfuse2?|mount-s3|smbnetfs))$/i

/** The magic numbers of statfs(2), for systems whose mounts cannot be read. */
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
