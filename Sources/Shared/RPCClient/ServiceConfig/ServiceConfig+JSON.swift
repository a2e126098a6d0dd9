internal import FoundationEssentials
internal import NIOCore
internal import RPC

extension ServiceConfig {
  /// Larger texts are refused before they are read.
  package static let maxTextLength = 256 * 1024

  /// Reads a service config as gRPC's other implementations do: members that are not known are passed over, of the
  /// balancing policies the first that is known counts.
  ///
  /// - Throws: ``ServiceConfigError`` when any member breaks a rule; then nothing of it holds (W55).
  package init(json: some Collection<UInt8>) throws(ServiceConfigError) {
    guard json.count <= Self.maxTextLength else {
      throw ServiceConfigError("The service config is longer than \(Self.maxTextLength) bytes.")
    }
    let raw: RawServiceConfig
    do {
      raw = try JSONDecoder().decode(RawServiceConfig.self, from: Data(json))
    } catch let error as DecodingError {
      throw ServiceConfigError("The service config \(error.sentence).")
    } catch {
      throw ServiceConfigError("The service config cannot be read: \(error).")
    }
    self.init()
    for (index, entry) in (raw.methodConfig ?? []).enumerated() {
      let place = "methodConfig[\(index)]"
      let method = try Method(entry, at: place)
      for name in entry.name ?? [] {
        guard methods.updateValue(method, forKey: try name.key(at: place)) == nil else {
          throw ServiceConfigError("\(place).name names what an earlier entry names.")
        }
      }
    }
    retryThrottle = try raw.retryThrottling.map { throttling throws(ServiceConfigError) in
      try RetryThrottle(throttling)
    }
    try readBalancing(raw)
    healthCheckService = raw.healthCheckConfig.map { $0.serviceName ?? "" }
  }

  /// Reads a service config from a file.
  ///
  /// - Throws: ``ServiceConfigError``; then nothing of it holds.
  package init(file: String) throws(ServiceConfigError) {
    guard let data = FileManager.default.contents(atPath: file) else {
      throw ServiceConfigError("The file \(file) cannot be read.")
    }
    try self.init(json: data)
  }
}

extension ServiceConfig.Method {
  fileprivate init(_ raw: RawServiceConfig.MethodEntry, at place: String) throws(ServiceConfigError) {
    self.init()
    timeout = try raw.timeout?.amount(at: "\(place).timeout")
    waitForReady = raw.waitForReady ?? false
    maxRequestMessageBytes = try Self.size(raw.maxRequestMessageBytes, at: "\(place).maxRequestMessageBytes")
    maxResponseMessageBytes = try Self.size(raw.maxResponseMessageBytes, at: "\(place).maxResponseMessageBytes")
    guard let policy = raw.retryPolicy else { return }
    let place = "\(place).retryPolicy"
    guard let attempts = policy.maxAttempts else { throw ServiceConfigError("\(place).maxAttempts is missing.") }
    guard let initial = policy.initialBackoff else { throw ServiceConfigError("\(place).initialBackoff is missing.") }
    guard let longest = policy.maxBackoff else { throw ServiceConfigError("\(place).maxBackoff is missing.") }
    guard let factor = policy.backoffMultiplier else {
      throw ServiceConfigError("\(place).backoffMultiplier is missing.")
    }
    var codes: Set<StatusCode> = []
    for code in policy.retryableStatusCodes ?? [] {
      guard let code = code.statusCode else {
        throw ServiceConfigError("\(place).retryableStatusCodes: '\(code.text)' is no status code.")
      }
      codes.insert(code)
    }
    let backoffs = (
      try initial.amount(at: "\(place).initialBackoff"), try longest.amount(at: "\(place).maxBackoff")
    )
    do throws(RetryPolicyError) {
      retryPolicy = try RetryPolicy(
        maxAttempts: attempts, initialBackoff: backoffs.0, maxBackoff: backoffs.1, backoffMultiplier: factor,
        retryableCodes: codes)
    } catch {
      throw ServiceConfigError("\(place): \(error.description)")
    }
  }

  private static func size(_ number: FlexibleInteger?, at place: String) throws(ServiceConfigError) -> Int? {
    guard let number else { return nil }
    guard number.value >= 0 else { throw ServiceConfigError("\(place) is \(number.value); it must not be negative.") }
    return number.value
  }
}

extension RetryThrottle {
  /// gRFC A6: `maxTokens` in (0, 1000], `tokenRatio` > 0, of which three decimals count.
  fileprivate init(_ raw: RawServiceConfig.Throttling) throws(ServiceConfigError) {
    guard let maximum = raw.maxTokens, maximum > 0, maximum <= 1000, maximum == maximum.rounded() else {
      throw ServiceConfigError("retryThrottling.maxTokens must be a whole number from 1 to 1000.")
    }
    guard let ratio = raw.tokenRatio, ratio.isFinite, ratio >= 0.001, ratio <= 1000 else {
      throw ServiceConfigError("retryThrottling.tokenRatio must be a number from 0.001 to 1000.")
    }
    self.init(maxTokens: Int(maximum), tokenRatio: Int(ratio * 1000))
  }
}

extension DecodingError {
  /// What is wrong where; goes after "The service config".
  fileprivate var sentence: String {
    switch self {
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
      context.path.isEmpty ? "is no JSON object" : "has the wrong type at \(context.path)"
    case .keyNotFound(let key, let context): "lacks \(key.stringValue) at \(context.path)"
    case .dataCorrupted(let context):
      context.path.isEmpty ? "is no JSON" : "\(context.debugDescription) at \(context.path)"
    @unknown default: "cannot be read"
    }
  }
}

extension DecodingError.Context {
  fileprivate var path: String {
    codingPath.reduce(into: "") { path, key in
      if let index = key.intValue {
        path += "[\(index)]"
      } else {
        path += path.isEmpty ? key.stringValue : "." + key.stringValue
      }
    }
  }
}
