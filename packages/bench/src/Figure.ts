/**
 * Figures as a person reads them: no more digits than mean something.
 */

/** Stands where there is no figure. */
export const none = "–"

/** At most three digits that count, thousands as `k`, millions as `M`; a dash where there is none. */
export const format = (value: number | null | undefined): string => {
  if (value === null || value === undefined || !Number.isFinite(value)) return none
  const size = Math.abs(value)
  if (size >= 999_500) return `${digits(value / 1e6)}M`
  if (size >= 9_995) return `${digits(value / 1e3)}k`
  if (size >= 999.5) return `${Math.round(value / 10) * 10}`.replace(/(\d)(\d{3})$/, "$1,$2")
  return digits(value)
}

/** Bytes as MB. */
export const megabytes = (bytes: number | null | undefined): string =>
  bytes === null || bytes === undefined ? none : format(bytes / 1e6)

/** A content's size, in binary units as its name says. */
export const size = (bytes: number): string =>
  bytes >= 1_000_000 ? `${digits(bytes / 1_048_576)} MB` : bytes >= 1000 ? `${digits(bytes / 1024)} KB` : `${bytes} B`

const digits = (value: number): string => {
  const size = Math.abs(value)
  if (size === 0) return "0"
  const text =
    size >= 99.95 ? value.toFixed(0) : size >= 9.995 ? value.toFixed(1) : value.toFixed(size < 0.0995 ? 3 : 2)
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text
}
