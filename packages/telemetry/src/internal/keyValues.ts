/** Reads `name=value,name=value`, percent-encoded as in W3C Baggage. Text that is not a pair is ignored. */
export const parseKeyValues = (text: string): { readonly [name: string]: string } =>
  Object.fromEntries(
    text.split(",").flatMap((pair) => {
      const equals = pair.indexOf("=")
      const name = equals < 0 ? "" : decode(pair.slice(0, equals))
      return name === "" ? [] : [[name, decode(pair.slice(equals + 1))]]
    })
  )

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text.trim())
  } catch {
    return text.trim()
  }
}
