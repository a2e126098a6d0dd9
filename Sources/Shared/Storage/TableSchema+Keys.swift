extension TableSchema {
  /// The key of `item`, or `nil` if it lacks a key attribute or one is not a string.
  package func key(of item: Item) -> ItemKey? {
    guard case .string(let partition)? = item[partitionKey], case .string(let sort)? = item[sortKey] else { return nil }
    return ItemKey(partition, sort)
  }

  /// The last second at whose end `item` is still there, or `nil` if it stays for ever.
  package func timeToLive(of item: Item) -> Int64? { timeToLiveAttribute.flatMap { item[$0]?.numberValue } }

  /// Whether the time to live of `item` has passed at `now`, in microseconds since 1970.
  ///
  /// An item lives through the instant its attribute names, so a rule that ends at that very instant (`now < expiry`)
  /// is the service's own check.
  package func isExpired(_ item: Item, now: Int64) -> Bool {
    timeToLive(of: item).map { $0 < Self.oldestLiveSecond(now: now) } ?? false
  }

  /// The least time to live that has not passed at `now` (microseconds since 1970): its seconds, rounded up.
  package static func oldestLiveSecond(now: Int64) -> Int64 {
    let (seconds, rest) = now.quotientAndRemainder(dividingBy: 1_000_000)
    return rest > 0 ? seconds + 1 : seconds
  }
}

extension IndexSchema {
  /// The keys of `item` in this index, or `nil` if it is not in it.
  package func keys(of item: Item) -> (partition: String, sort: String)? {
    guard case .string(let partition)? = item[partitionKey], case .string(let sort)? = item[sortKey] else { return nil }
    return (partition, sort)
  }
}
