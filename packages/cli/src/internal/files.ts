/**
 * Files, with what goes wrong said in words.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as PlatformError from "effect/PlatformError"
import { CommandError } from "../CommandError.ts"

/** Why a file cannot be read. */
export const unreadable = (name: string, error: PlatformError.PlatformError): CommandError =>
  failed(name, "read", error)

/** Why a file cannot be written. */
export const unwritable = (name: string, error: PlatformError.PlatformError): CommandError =>
  failed(name, "written", error)

/** Reads a text. */
export const readText = (path: string): Effect.Effect<string, CommandError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    Effect.mapError(fs.readFileString(path), (error) => unreadable(path, error))
  )

/** Reads a file whole. */
export const readBytes = (path: string): Effect.Effect<Uint8Array, CommandError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => Effect.mapError(fs.readFile(path), (error) => unreadable(path, error)))

const failed = (name: string, done: "read" | "written", error: PlatformError.PlatformError): CommandError => {
  switch (error.reason._tag) {
    case "NotFound":
      return done === "read"
        ? new CommandError({ problem: `${name} does not exist`, remedy: "check the path" })
        : new CommandError({ problem: `${name} cannot be written: there is no such folder`, remedy: "check the path" })
    case "PermissionDenied":
      return new CommandError({ problem: `${name} may not be ${done}`, remedy: "check its permissions" })
    case "BadResource":
      return new CommandError({ problem: `${name} is a folder`, remedy: "name a file" })
    default:
      return new CommandError({ problem: `${name} cannot be ${done}: ${error.message}`, remedy: "check path and disk" })
  }
}
