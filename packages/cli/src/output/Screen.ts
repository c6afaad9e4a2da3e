/**
 * Draws on a terminal over and over again, and leaves the terminal as it was before, however the process ends.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { writeSync } from "node:fs"

/** How a drawing takes the terminal and gives it back. */
export interface Drawing {
  /** The file descriptor of the terminal. */
  readonly fd: 1 | 2
  readonly write: (drawing: string) => Effect.Effect<void>
  /** Written before the first picture. */
  readonly take: string
  /** Written after the last one. */
  readonly restore: string
  /** Written between the last picture and `restore`, unless the process is ended. Defaults to nothing. */
  readonly clear?: string | undefined
}

/** Takes the terminal until the scope closes, or the returned effect runs. */
export const take = ({
  clear = "",
  fd,
  restore,
  take,
  write
}: Drawing): Effect.Effect<Effect.Effect<void>, never, Scope.Scope> => {
  const atExit = (): void => {
    try {
      writeSync(fd, restore)
    } catch {
      // A terminal that is gone needs nothing.
    }
  }
  let isOver = false
  const end = Effect.suspend(() => {
    if (isOver) return Effect.void
    isOver = true
    process.off("exit", atExit)
    return write(clear + restore)
  })
  return Effect.acquireRelease(
    Effect.as(
      Effect.andThen(
        Effect.sync(() => process.once("exit", atExit)),
        write(take)
      ),
      end
    ),
    () => end
  )
}

/** Hides the cursor, and shows it again. */
export const hideCursor = "\u001B[?25l"
export const showCursor = "\u001B[?25h"

/** Another screen than the one with the shell's lines, without a cursor; lines that are too long are cut and not wrapped. */
export const fullScreen = {
  take: `\u001B[?1049h${hideCursor}\u001B[?7l`,
  restore: `\u001B[?7h${showCursor}\u001B[?1049l`
}

/** Draws lines from the top; nothing of the picture before is left, and nothing flickers. */
export const picture = (lines: ReadonlyArray<string>): string =>
  `\u001B[H${lines.map((line) => `${line}\u001B[K`).join("\n")}\u001B[J`
