/**
 * The file of `--transcript`: the conversation with the relay, a line of text a line.
 *
 * It holds addresses, so only its owner can read it, also if it was there before. Lines are collected into blocks that are written
 * at once and synchronously: a block that waits would grow with what a fast run says, and what a process says before it is
 * ended by force is written on its way out. A file of 64 MiB becomes FILE.1, in the place of the one before, so that a dispatcher that
 * runs for months keeps the newest 64 to 128 MiB.
 */
import * as Transcript from "@mailrace/smtp/Transcript"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stdio from "effect/Stdio"
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  openSync,
  renameSync,
  statSync,
  writeSync
} from "node:fs"
import { CommandError } from "../CommandError.ts"
import { unwritableFor } from "../internal/files.ts"
import * as Terminal from "./Terminal.ts"

/** How the file is opened. */
export interface Options {
  /** Adds to the lines of earlier runs instead of emptying the file. */
  readonly appends: boolean
  /** From how many bytes on the file is set aside. Defaults to 64 MiB. */
  readonly maxSize?: number | undefined
}

/** Opens the file. The lines that are left are written when the scope closes. */
export const open = Effect.fnUntraced(function* (
  path: string,
  options: Options
): Effect.fn.Return<Transcript.Sink, CommandError, Scope.Scope | Stdio.Stdio> {
  const log = yield* Terminal.logger
  const file = yield* Effect.acquireRelease(
    Effect.try({
      try: () => new TranscriptFile(path, options),
      catch: (error) => (error instanceof CommandError ? error : unwritableFor(path, error as NodeJS.ErrnoException))
    }),
    (file) => Effect.flatMap(Effect.sync(file.close), (problem) => (problem === undefined ? Effect.void : log(problem)))
  )
  return file.add
})

/** A block in characters. */
const blockSize = 64 * 1024

/** The longest time that a line waits for others, in milliseconds. */
const maxDelayMs = 250

const maxFileSize = 64 * 1024 * 1024

/** An open transcript. */
class TranscriptFile {
  private readonly path: string
  private readonly maxSize: number
  private fd: number
  private readonly isRegular: boolean
  private size: number
  private block = ""
  private timer: NodeJS.Timeout | undefined
  private failure: unknown

  constructor(path: string, { appends, maxSize = maxFileSize }: Options) {
    this.path = path
    this.maxSize = maxSize
    const there = statSync(path, { throwIfNoEntry: false })
    if (there?.isFIFO() === true || there?.isSocket() === true)
      throw new CommandError({
        problem: `${path} is a pipe, and --transcript needs a file`,
        remedy: "name a file, and follow it with tail -f"
      })
    this.fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, 0o600)
    try {
      const stats = fstatSync(this.fd)
      this.isRegular = stats.isFile()
      this.size = appends ? stats.size : 0
      if (this.isRegular) {
        fchmodSync(this.fd, 0o600)
        if (!appends) ftruncateSync(this.fd, 0)
      }
    } catch (error) {
      closeSync(this.fd)
      throw error
    }
    process.on("exit", this.close)
  }

  /** Takes a line. Throws once the file can take no more. */
  readonly add = (line: Transcript.Line): void => {
    if (this.failure !== undefined) throw this.failure
    this.block += `${Transcript.format(line)}\n`
    if (this.block.length >= blockSize) this.flushUnsafe()
    else this.timer ??= setTimeout(this.onTimer, maxDelayMs).unref()
  }

  /** Writes the rest and closes. Returns a description of the failure, if any, unless `add` has thrown it. */
  readonly close = (): string | undefined => {
    process.off("exit", this.close)
    clearTimeout(this.timer)
    if (this.fd === -1) return undefined
    const hadFailed = this.failure !== undefined
    if (!hadFailed) this.onTimer()
    closeSync(this.fd)
    this.fd = -1
    if (hadFailed || this.failure === undefined) return undefined
    return `the transcript ${this.path} is not complete: ${(this.failure as Error).message}`
  }

  private readonly onTimer = (): void => {
    try {
      this.flushUnsafe()
    } catch {
      // The next line, or the end, says so.
    }
  }

  private flushUnsafe(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    const bytes = Buffer.from(this.block, "utf8")
    this.block = ""
    try {
      if (this.isRegular && this.size > 0 && this.size + bytes.length > this.maxSize) this.setAsideUnsafe()
      for (let at = 0; at < bytes.length;) at += writeSync(this.fd, bytes, at)
      this.size += bytes.length
    } catch (error) {
      this.failure = error
      throw error
    }
  }

  private setAsideUnsafe(): void {
    renameSync(this.path, `${this.path}.1`)
    const next = openSync(
      this.path,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_APPEND,
      0o600
    )
    closeSync(this.fd)
    this.fd = next
    fchmodSync(next, 0o600)
    this.size = 0
  }
}
