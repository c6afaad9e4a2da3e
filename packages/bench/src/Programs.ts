/**
 * Finds the installed programs that take part or help.
 */
import { accessSync, constants } from "node:fs"

const find = (name: string): string | undefined => {
  const folders = ["/usr/sbin", "/usr/libexec/postfix", "/bin", ...(process.env["PATH"] ?? "").split(":")]
  return folders.map((folder) => `${folder}/${name}`).find(isExecutable)
}

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Paths; `undefined` where a program is not installed. */
export const programs = {
  smtpSource: find("smtp-source"),
  smtpSink: find("smtp-sink"),
  postconf: find("postconf"),
  /** bash, whose `times` counts milliseconds; other shells count hundredths of a second. */
  shell: find("bash") ?? "/bin/sh"
}
