extension ServiceConfig {
  /// Sets ``balancing`` and ``outlierDetection``.
  mutating func readBalancing(_ raw: RawServiceConfig) throws(ServiceConfigError) {
    if let list = raw.loadBalancingConfig {
      try readPolicy(list, at: "loadBalancingConfig", mayWrap: true)
      return
    }
    switch raw.loadBalancingPolicy?.lowercased() {
    case nil: break
    case "pick_first": balancing = .pickFirst
    case "round_robin": balancing = .roundRobin
    case let name?: throw ServiceConfigError("loadBalancingPolicy '\(name)' is not known (pick_first, round_robin).")
    }
  }

  /// The first policy that is known counts.
  ///
  /// - Parameter mayWrap: whether it may be one around another.
  private mutating func readPolicy(
    _ list: [RawServiceConfig.PolicyEntry], at place: String, mayWrap: Bool
  ) throws(ServiceConfigError) {
    for (index, entry) in list.enumerated() {
      let place = "\(place)[\(index)]"
      guard entry.policies.count == 1, let (name, settings) = entry.policies.first else {
        throw ServiceConfigError("\(place) must name exactly one policy.")
      }
      switch name {
      case "pick_first": balancing = .pickFirst
      case "round_robin": balancing = .roundRobin
      case "least_request", "least_request_experimental":
        // gRFC A48: at least 2; more than 10 count as 10.
        let count = settings.choiceCount ?? 2
        guard count >= 2 else {
          throw ServiceConfigError("\(place): choiceCount is \(count); it must be at least 2.")
        }
        balancing = .leastRequest(choiceCount: min(count, 10))
      case "outlier_detection_experimental" where mayWrap:
        outlierDetection = try OutlierDetection.Configuration(settings, at: place)
        guard let child = settings.childPolicy else { throw ServiceConfigError("\(place).childPolicy is missing.") }
        try readPolicy(child, at: "\(place).childPolicy", mayWrap: false)
      default: continue
      }
      return
    }
    throw ServiceConfigError("\(place) names no policy that is known (pick_first, round_robin, least_request).")
  }
}

extension OutlierDetection.Configuration {
  /// gRFC A50, "Validation".
  fileprivate init(_ raw: RawServiceConfig.PolicySettings, at place: String) throws(ServiceConfigError) {
    self.init()
    guard raw.successRateEjection == nil else {
      throw ServiceConfigError("\(place).successRateEjection is not supported; use failurePercentageEjection.")
    }
    if let text = raw.interval { interval = try text.amount(at: "\(place).interval") }
    if let text = raw.baseEjectionTime { baseEjectionTime = try text.amount(at: "\(place).baseEjectionTime") }
    if let text = raw.maxEjectionTime { maxEjectionTime = try text.amount(at: "\(place).maxEjectionTime") }
    try Self.read(raw.maxEjectionPercent, upTo: 100, into: &maxEjectionPercent, at: "\(place).maxEjectionPercent")
    guard let rule = raw.failurePercentageEjection else { return }
    let place = "\(place).failurePercentageEjection"
    var read = OutlierDetection.FailurePercentage()
    try Self.read(rule.threshold, upTo: 100, into: &read.threshold, at: "\(place).threshold")
    try Self.read(
      rule.enforcementPercentage, upTo: 100, into: &read.enforcementPercentage, at: "\(place).enforcementPercentage")
    let largest = Int(UInt32.max)
    try Self.read(rule.minimumHosts, upTo: largest, into: &read.minimumHosts, at: "\(place).minimumHosts")
    try Self.read(rule.requestVolume, upTo: largest, into: &read.requestVolume, at: "\(place).requestVolume")
    failurePercentage = read
  }

  private static func read(
    _ number: FlexibleInteger?, upTo limit: Int, into value: inout Int, at place: String
  ) throws(ServiceConfigError) {
    guard let number else { return }
    guard (0...limit).contains(number.value) else {
      throw ServiceConfigError("\(place) is \(number.value); it must be from 0 to \(limit).")
    }
    value = number.value
  }
}
