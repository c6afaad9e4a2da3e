/** AUTH within a session (RFC 4954 §4): the command, its challenges and responses, and the user who has logged in. */
import * as Auth from "./auth.ts"
import { mechanisms } from "./options.ts"
import { perform } from "./perform.ts"
import type { SessionView } from "./wire.ts"

export class Login {
  readonly #session: SessionView
  #exchange: Auth.Exchange | undefined
  /** The user that is logged in. */
  user: string | undefined

  constructor(session: SessionView) {
    this.#session = session
  }

  /** True if the next line is a response and not a command. */
  get isUnderWay(): boolean {
    return this.#exchange !== undefined
  }

  /** Takes an AUTH command, its line whole. */
  begin(line: string): void {
    const { connection, extensions, replies, server, transaction, clientName } = this.#session
    if (clientName === undefined || this.user !== undefined || transaction.isOpen) {
      return this.#session.violation("AUTH out of order", "AUTH", replies.outOfOrder)
    }
    const [, name, initial] = line.split(" ")
    const mechanism = mechanisms.find((known) => known === name?.toUpperCase())
    if (extensions.auth.length === 0) {
      return this.#session.violation("AUTH without it being offered", "AUTH", replies.notImplemented)
    }
    if (mechanism === undefined || !extensions.auth.includes(mechanism)) {
      return this.#session.violation("a mechanism that was not offered", `AUTH ${name}`, replies.unknownMechanism)
    }
    if (server.config.authNeedsTls && connection.tls === undefined) {
      return this.#session.violation("AUTH in clear", `AUTH ${name}`, replies.needTlsForAuth)
    }
    this.#exchange = Auth.begin(mechanism, server.config)
    if (initial === undefined) return this.#step(undefined)
    this.respond(initial === "=" ? "" : initial)
  }

  /** Takes a response, still in base64. */
  respond(line: string): void {
    if (line === "*") {
      this.#exchange = undefined
      return this.#session.reply("auth", this.#session.replies.authCancelled)
    }
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(line) || line.length % 4 !== 0) {
      this.#exchange = undefined
      return this.#session.violation("a response that is not base64", "", this.#session.replies.badBase64)
    }
    this.#step(Buffer.from(line, "base64"))
  }

  #step(response: Buffer | undefined): void {
    const step = this.#exchange!(response)
    if (step.type === "challenge") {
      const challenge = Buffer.from(step.challenge).toString("base64")
      return this.#session.reply("auth", `334 ${challenge}\r\n`)
    }
    this.#exchange = undefined
    const { replies } = this.#session
    perform(this.#session, "auth", () => {
      if (step.type === "success") this.user = step.user
      this.#session.reply("auth", step.type === "success" ? replies.loggedIn : replies.badCredentials)
    })
  }
}
