/**
 * Lists all workloads, in the order in which they run and are reported.
 */
import type { Workload } from "./Workload.ts"
import { backlog } from "./workloads/backlog.ts"
import { batching } from "./workloads/batching.ts"
import { composed } from "./workloads/composed.ts"
import { composing } from "./workloads/composing.ts"
import { concurrency } from "./workloads/concurrency.ts"
import { connections } from "./workloads/connections.ts"
import { data } from "./workloads/data.ts"
import { dkim } from "./workloads/dkim.ts"
import { fleet } from "./workloads/fleet.ts"
import { flow } from "./workloads/flow.ts"
import { loopback } from "./workloads/loopback.ts"
import { memory } from "./workloads/memory.ts"
import { metrics } from "./workloads/metrics.ts"
import { million } from "./workloads/million.ts"
import { outbox } from "./workloads/outbox.ts"
import { pool } from "./workloads/pool.ts"
import { relay } from "./workloads/relay.ts"
import { router } from "./workloads/router.ts"
import { rtt } from "./workloads/rtt.ts"
import { serial } from "./workloads/serial.ts"
import { size } from "./workloads/size.ts"
import { start } from "./workloads/start.ts"
import { templates } from "./workloads/templates.ts"
import { tracing } from "./workloads/tracing.ts"
import { tls } from "./workloads/tls.ts"

export const all: ReadonlyArray<Workload> = [
  loopback,
  composed,
  data,
  rtt,
  relay,
  connections,
  concurrency,
  size,
  serial,
  pool,
  tls,
  batching,
  tracing,
  metrics,
  flow,
  router,
  memory,
  start,
  composing,
  templates,
  dkim,
  outbox,
  backlog,
  million,
  fleet
]
