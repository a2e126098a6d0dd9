/// How many entries a page has. Source: DOMAIN 7.
package enum PageSize {
  package static let standard = 50
  package static let maximum = 200
}

extension FieldViolations {
  /// The size of a page: 0 means 50, more than 200 means 200, negative values are refused.
  package mutating func pageSize(_ requested: Int32, at field: String = "page_size") -> Int {
    if requested < 0 { add(.outOfRange, at: field, "A page size is not negative.") }
    return requested <= 0 ? PageSize.standard : min(Int(requested), PageSize.maximum)
  }

  /// The place after which a list goes on; `nil` on the first page, or after having noted that the token is not one of
  /// this list for this caller.
  package mutating func pagePosition(
    _ token: String, tokens: PageTokens, binding: PageTokens.Binding, at field: String = "page_token"
  ) -> [String]? {
    if token.isEmpty { return nil }
    guard let position = tokens.open(token, binding: binding) else {
      add(.pageTokenInvalid, at: field, "It is not a page token of this list and caller.")
      return nil
    }
    return position
  }
}
