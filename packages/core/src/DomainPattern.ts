/**
 * Domains and patterns of them: `example.org` stands for itself, `*.example.org` for all domains below it and not for itself.
 *
 * @since 0.1.0
 */

/**
 * Compiles patterns into a test for domains, which holds if one of the patterns does. Capitals do not count.
 *
 * @since 0.1.0
 */
export const matcher = (patterns: ReadonlyArray<string>): ((domain: string) => boolean) => {
  const all = patterns.map((pattern) => pattern.toLowerCase())
  return (domain) => {
    const asked = domain.toLowerCase()
    return all.some((pattern) =>
      pattern.startsWith("*.") ? asked.endsWith(pattern.slice(1)) && asked.length >= pattern.length : pattern === asked
    )
  }
}
