/**
 * The child's side of the channel that `fork` opens. It answers requests one after the other, and ends when its parent is
 * gone.
 */

/** Answers each request by `handle`, and reports what it throws to the parent. */
export const serve = <Request>(handle: (request: Request) => Promise<unknown>): void => {
  let last: Promise<unknown> = Promise.resolve()
  process.on("message", (request: Request) => {
    last = last.then(async () => {
      try {
        process.send?.({ _tag: "Answer", value: await handle(request) })
      } catch (error) {
        process.send?.({
          _tag: "Problem",
          problem: error instanceof Error ? (error.stack ?? error.message) : `${error}`
        })
      }
    })
  })
  process.on("disconnect", () => process.exit(0))
  process.on("SIGINT", () => {})
}
