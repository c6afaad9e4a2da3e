/** Fills an outbox in PostgreSQL from a process of its own. */
import { fork } from "node:child_process"
import { once } from "node:events"
import type * as Messages from "../Messages.ts"

/** The address of PostgreSQL. */
export interface Server {
  readonly host: string
  readonly port: number
}

export interface Enqueuer {
  /** Resolves when `count` messages from number `first` on are in the outbox. */
  readonly enqueue: (first: number, count: number) => Promise<void>
  readonly close: () => Promise<void>
}

type Answer = { readonly _tag: "Answer" } | { readonly _tag: "Problem"; readonly problem: string }

export const start = ({ host, port }: Server, messages: Messages.Options): Enqueuer => {
  const args = [JSON.stringify({ host, port }), JSON.stringify(messages)]
  const child = fork(new URL("../processes/enqueuer.ts", import.meta.url), args, { execArgv: ["--no-warnings"] })
  const gone = once(child, "exit").then(([code]): Answer => ({ _tag: "Problem", problem: `it ended with ${code}` }))
  return {
    enqueue: async (first, count) => {
      const answered = once(child, "message").then(([answer]) => answer as Answer)
      child.send({ first, count })
      const answer = await Promise.race([answered, gone])
      if (answer._tag === "Problem") throw new Error(`messages cannot be enqueued: ${answer.problem}`)
    },
    close: async () => {
      if (child.connected) child.disconnect()
      await gone
    }
  }
}
