/**
 * The process's main program: the command on Node's services.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Cli from "./Cli.ts"
import * as Interrupts from "./Interrupts.ts"
import * as Printable from "./output/printable.ts"

/** Logs to standard error, because standard output is for data; on a terminal a log line replaces the drawn one. */
const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
  const text = Printable.line((Array.isArray(message) ? message : [message]).map(String).join(" "))
  process.stderr.write(`${process.stderr.isTTY ? "\r\u001B[K" : ""}mailrace: ${logLevel.toLowerCase()}: ${text}\n`)
})

Cli.run.pipe(Effect.provide(Layer.mergeAll(NodeServices.layer, Logger.layer([logger]))), Interrupts.runMain)
