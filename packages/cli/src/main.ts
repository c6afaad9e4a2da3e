/**
 * The process's main program: the command on Node's services.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Cli from "./Cli.ts"
import * as Interrupts from "./Interrupts.ts"
import * as LogLines from "./output/LogLines.ts"

const logger = LogLines.logger((line) => process.stderr.write(line), process.stderr.isTTY === true)

Cli.run.pipe(Effect.provide(Layer.mergeAll(NodeServices.layer, Logger.layer([logger]))), Interrupts.runMain)
