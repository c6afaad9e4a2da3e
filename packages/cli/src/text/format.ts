/**
 * Formats numbers and texts for a person at a terminal.
 */

/** `12,345`. */
export const count = (value: number): string => Math.round(value).toLocaleString("en-US")

/** `1 message`, `12,345 messages`. */
export const plural = (value: number, noun: string, nouns = `${noun}s`): string =>
  `${count(value)} ${value === 1 ? noun : nouns}`

/** `840 µs`, `12 ms`, `3.4 s`, `2 min 5 s`, `1 h 4 min`. */
export const duration = (ms: number): string => {
  if (ms <= 0) return "0 ms"
  if (ms < 1) return `${Math.round(ms * 1000)} µs`
  if (ms < 10) return `${ms.toFixed(1)} ms`
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
}

/** `512 B`, `10 KB`, `3.2 MB`, in powers of ten. */
export const bytes = (value: number): string => {
  const units = ["B", "KB", "MB", "GB", "TB"]
  let unit = 0
  let scaled = value
  while (scaled >= 999.5 && unit < units.length - 1) {
    scaled /= 1000
    unit++
  }
  return `${unit > 0 && scaled < 10 ? scaled.toFixed(1) : Math.round(scaled)} ${units[unit]}`
}

/** `99.5 %`; never `100.0 %` for less than all, nor `0.0 %` for more than none. */
export const share = (part: number, whole: number): string => shares([part, whole - part])[0]!

/** The same of all parts of a whole: rounded so that they add up to 100 %, by the largest remainders. */
export const shares = (parts: ReadonlyArray<number>): ReadonlyArray<string> => {
  const whole = parts.reduce((sum, part) => sum + part, 0)
  const exact = parts.map((part) => (whole === 0 ? 0 : (part / whole) * 1000))
  const tenths = exact.map(Math.floor)
  const missing = Math.round(exact.reduce((sum, one) => sum + one, 0)) - tenths.reduce((sum, one) => sum + one, 0)
  const byRemainder = exact.map((one, index) => [one % 1, index] as const).sort(([a], [b]) => b - a)
  for (const [, index] of byRemainder.slice(0, missing)) tenths[index]!++
  return parts.map((part, index) => {
    if (part === 0) return "0 %"
    if (part === whole) return "100 %"
    const tenth = tenths[index]!
    return tenth === 0 ? "<0.1 %" : tenth === 1000 ? ">99.9 %" : `${(tenth / 10).toFixed(1)} %`
  })
}

/** Cuts a text to a width and marks the cut with an ellipsis. */
export const truncate = (text: string, width: number): string => {
  const chars = [...text]
  return chars.length <= width ? text : `${chars.slice(0, Math.max(0, width - 1)).join("")}…`
}

/** Wraps a text into lines of at most a width, between words where possible. */
export const wrap = (text: string, width: number): ReadonlyArray<string> => {
  const room = Math.max(1, width)
  const lines: Array<string> = []
  let line: ReadonlyArray<string> = []
  for (const word of text.split(" ").map((word) => [...word])) {
    const longer = line.length === 0 ? word : [...line, " ", ...word]
    if (longer.length <= room) {
      line = longer
      continue
    }
    if (line.length > 0) lines.push(line.join(""))
    let rest = word
    for (; rest.length > room; rest = rest.slice(room)) lines.push(rest.slice(0, room).join(""))
    line = rest
  }
  if (line.length > 0) lines.push(line.join(""))
  return lines
}

/** Functions that colour texts, or leave them as they are. */
export interface Paint {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly green: (text: string) => string
  readonly yellow: (text: string) => string
  readonly red: (text: string) => string
  readonly cyan: (text: string) => string
}

/** Makes functions that colour texts, or leave them as they are. */
export const paint = (colors: boolean): Paint => {
  const style = (open: number, close: number) => (text: string) =>
    colors && text !== "" ? `\u001B[${open}m${text}\u001B[${close}m` : text
  return {
    bold: style(1, 22),
    dim: style(2, 22),
    green: style(32, 39),
    yellow: style(33, 39),
    red: style(31, 39),
    cyan: style(36, 39)
  }
}
