/**
 * The child's side of a conversation over the channel that `fork` opens: requests are answered one after the other,
 * and when the parent goes, so does the child.
 */

/** Answers each request by `handle`; what it throws is told to the parent. */
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
