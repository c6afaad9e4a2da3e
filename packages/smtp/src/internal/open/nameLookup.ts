/**
 * Asks the system's resolver for addresses (`getaddrinfo`).
 *
 * Node has few threads for names, and a question that nobody answers holds one for many seconds. So connections that are opened
 * together share a question, and none is asked twice at a time.
 */
import * as Dns from "node:dns"
import type { Address } from "./addressRace.ts"
import type { Family } from "./nameQuestions.ts"

/** The answer to a question: addresses, or Node's error code. */
export type Answer = ReadonlyArray<Address> | string

/** Asks for addresses. */
export class NameLookup {
  private readonly listeners = new Map<string, Set<(answer: Answer) => void>>()

  /** Asks, and calls back once. Returns a function that stops listening. */
  ask(host: string, family: Family, onAnswer: (answer: Answer) => void): () => void {
    const key = `${family} ${host}`
    const sharing = this.listeners.get(key)
    const listeners = sharing ?? new Set()
    listeners.add(onAnswer)
    if (sharing === undefined) {
      this.listeners.set(key, listeners)
      Dns.lookup(host, { all: true, family, order: "verbatim" }, (error, addresses) => {
        this.listeners.delete(key)
        const answer = error === null ? addresses.flatMap((found) => addressOf(found, family)) : (error.code ?? "")
        for (const listener of listeners) listener(answer)
      })
    }
    return () => listeners.delete(onAnswer)
  }
}

const addressOf = ({ address, family }: Dns.LookupAddress, asked: Family): ReadonlyArray<Address> =>
  (family === 4 || family === 6) && (asked === 0 || asked === family) ? [{ address, family }] : []
