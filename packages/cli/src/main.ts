/**
 * The process's main program: the command on Node's services.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Cli from "./Cli.ts"
import * as Interrupts from "./Interrupts.ts"

Cli.run.pipe(Effect.provideService(Logger.LogToStderr, true), Effect.provide(NodeServices.layer), Interrupts.runMain)
