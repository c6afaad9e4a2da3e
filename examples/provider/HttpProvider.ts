/**
 * A provider that has only an HTTP API, behind a nodemailer transport of twenty lines. Many providers publish one on npm;
 * Amazon SES is part of nodemailer: `NodemailerTransport.layer({ SES: { sesClient, SendEmailCommand } })`.
 */
import * as NodemailerTransport from "@mailrace/nodemailer/NodemailerTransport"
import { buffer } from "node:stream/consumers"
import type MailMessage from "nodemailer/lib/mailer/mail-message.js"

/** A refusal of the API, in the terms by which nodemailer's transports report one: 4yz may be tried again, 5yz may not. */
class Refused extends Error {
  readonly code = "EMESSAGE"
  readonly responseCode: number
  readonly response: string

  constructor(status: number, words: string) {
    const code = status === 429 || status >= 500 ? 451 : 554
    super(words)
    this.responseCode = code
    this.response = `${code} ${words}`
  }
}

const unconnected = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "UND_ERR_CONNECT_TIMEOUT"])

/** A transport for an API that takes the message as it is (`message/rfc822`), and its envelope in two headers. */
export const plugin = (api: string, key: string) => ({
  name: "HttpProvider",
  version: "1.0.0",
  send(mail: MailMessage, done: (error: Error | null, info?: any) => void) {
    const envelope = mail.message.getEnvelope()
    const post = async () => {
      const response = await fetch(api, {
        method: "POST",
        headers: {
          authorization: `Bearer ${key}`,
          "content-type": "message/rfc822",
          "x-envelope-from": envelope.from || "",
          "x-envelope-to": envelope.to.join(",")
        },
        body: await buffer(mail.message.createReadStream())
      }).catch((error: { readonly cause?: { readonly code?: string } }) => {
        // Whatever else breaks, the provider may have the message; without a connection it has not.
        const { code = "" } = error.cause ?? {}
        throw unconnected.has(code) ? new Refused(503, code) : error
      })
      const words = await response.text()
      if (!response.ok) throw new Refused(response.status, words)
      return {
        envelope,
        accepted: envelope.to,
        rejected: [],
        messageId: mail.message.messageId(),
        response: `250 ${words}`
      }
    }
    post().then((info) => done(null, info), done)
  }
})

/** The layer that takes the place of `SmtpTransport.layerUrl(…)`. */
export const layer = (api: string, key: string) =>
  NodemailerTransport.layer(plugin(api, key), { relay: new URL(api).host, concurrency: 20 })
