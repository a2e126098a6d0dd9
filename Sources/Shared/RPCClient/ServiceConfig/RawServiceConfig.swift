internal import FoundationEssentials
internal import NIOCore
internal import RPC

/// The JSON of a service config, member by member, before its rules are checked.
struct RawServiceConfig: Decodable {
  struct MethodEntry: Decodable {
    var name: [Name]?
    var timeout: DurationText?
    var waitForReady: Bool?
    var maxRequestMessageBytes: FlexibleInteger?
    var maxResponseMessageBytes: FlexibleInteger?
    var retryPolicy: Retry?
  }

  struct Name: Decodable {
    var service: String?
    var method: String?

    /// `service/method`, `service/`, or empty for the default.
    func key(at place: String) throws(ServiceConfigError) -> String {
      let (service, method) = (service ?? "", method ?? "")
      guard service.isEmpty else { return "\(service)/\(method)" }
      guard method.isEmpty else { throw ServiceConfigError("\(place).name has a method without a service.") }
      return ""
    }
  }

  struct Retry: Decodable {
    var maxAttempts: Int?
    var initialBackoff: DurationText?
    var maxBackoff: DurationText?
    var backoffMultiplier: Double?
    var retryableStatusCodes: [CodeText]?
  }

  struct Throttling: Decodable {
    var maxTokens: Double?
    var tokenRatio: Double?
  }

  struct PolicySettings: Decodable {
    // least_request
    var choiceCount: Int?
    // outlier_detection_experimental
    var interval: DurationText?
    var baseEjectionTime: DurationText?
    var maxEjectionTime: DurationText?
    var maxEjectionPercent: FlexibleInteger?
    var successRateEjection: Empty?
    var failurePercentageEjection: FailurePercentage?
    var childPolicy: [PolicyEntry]?
  }

  struct FailurePercentage: Decodable {
    var threshold: FlexibleInteger?
    var enforcementPercentage: FlexibleInteger?
    var minimumHosts: FlexibleInteger?
    var requestVolume: FlexibleInteger?
  }

  /// Of which only its presence counts.
  struct Empty: Decodable {}

  /// An object with one member: the policy's name, and its settings.
  struct PolicyEntry: Decodable {
    let policies: [String: PolicySettings]

    init(from decoder: any Decoder) throws {
      policies = try decoder.singleValueContainer().decode([String: PolicySettings].self)
    }
  }

  struct Health: Decodable {
    var serviceName: String?
  }

  var methodConfig: [MethodEntry]?
  var retryThrottling: Throttling?
  var loadBalancingConfig: [PolicyEntry]?
  /// The older spelling.
  var loadBalancingPolicy: String?
  var healthCheckConfig: Health?
}

/// A duration in proto3-JSON: decimal seconds with at most nine decimals and an `s`, such as `1.5s`.
struct DurationText: Decodable {
  private let text: String

  init(from decoder: any Decoder) throws { text = try decoder.singleValueContainer().decode(String.self) }

  func amount(at place: String) throws(ServiceConfigError) -> TimeAmount {
    guard let amount = Self.parse(text) else {
      throw ServiceConfigError(
        "\(place) is '\(text.prefix(64))'; write a duration in seconds above zero, such as 1.5s.")
    }
    return amount
  }

  private static func parse(_ text: String) -> TimeAmount? {
    guard text.hasSuffix("s") else { return nil }
    let parts = text.dropLast().split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    let isNumber = parts.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }
    guard isNumber, parts[0].utf8.count <= 9, let seconds = Int64(parts[0]) else { return nil }
    let decimals = parts.count == 2 ? parts[1] : ""
    guard decimals.utf8.count <= 9 else { return nil }
    let padded = String(decimals) + String(repeating: "0", count: 9 - decimals.utf8.count)
    let amount = TimeAmount.seconds(seconds) + .nanoseconds(Int64(padded) ?? 0)
    return amount > .zero ? amount : nil
  }
}

/// An integer, which proto3-JSON also writes as a string.
struct FlexibleInteger: Decodable {
  let value: Int

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let number = try? container.decode(Int.self) {
      value = number
    } else if let number = Int(try container.decode(String.self)) {
      value = number
    } else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "holds no whole number")
    }
  }
}

/// A status code by its name, in any case, or by its number.
struct CodeText: Decodable {
  let text: String

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let number = try? container.decode(Int.self) {
      text = String(number)
    } else {
      text = try container.decode(String.self)
    }
  }

  var statusCode: StatusCode? {
    if let number = Int(text) { return StatusCode(rawValue: number) }
    return StatusCode.allCases.first { $0.description == text.uppercased() }
  }
}
