/**
 * A settlement as it crosses to the SQLite thread: a list of values, at a third of the cost of an object.
 */
import type { Settlement } from "../../OutboxStore.ts"

/** A settlement's values. */
export type SettlementTuple = readonly [
  seq: number,
  epoch: number,
  attempts: number,
  state: Settlement["state"],
  at: number,
  dueAt: number | null,
  outcome: string,
  relay: string | null,
  code: number | null,
  enhanced: string | null,
  reply: string | null,
  recipients: string | null
]

/** The values of a settlement. */
export const toTuple = (end: Settlement): SettlementTuple => [
  end.seq,
  end.epoch,
  end.attempts,
  end.state,
  end.at,
  end.dueAt ?? null,
  end.outcome,
  end.relay ?? null,
  end.code ?? null,
  end.enhanced ?? null,
  end.reply ?? null,
  end.recipients ?? null
]
