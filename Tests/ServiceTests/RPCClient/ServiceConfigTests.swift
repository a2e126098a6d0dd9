import NIOCore
import RPC
import RPCClient
import Testing

@Suite struct ServiceConfigTests {
  /// The example of gRPC's service_config.proto documentation, with every member that is supported.
  private let whole = """
    {
      "loadBalancingConfig": [{"xds_only": {"x": 1}}, {"round_robin": {}}],
      "methodConfig": [
        {
          "name": [{"service": "clinic.Patients", "method": "Get"}, {"service": "clinic.Appointments"}],
          "waitForReady": true,
          "timeout": "1.500000001s",
          "maxRequestMessageBytes": "1024",
          "maxResponseMessageBytes": 2048,
          "retryPolicy": {
            "maxAttempts": 3, "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE", "aborted", 8]
          }
        },
        {"name": [{}], "timeout": "30s"}
      ],
      "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
      "healthCheckConfig": {"serviceName": "clinic.Patients"},
      "somethingNew": [1, 2, 3]
    }
    """

  private func refusal(_ json: String) -> String? {
    do {
      _ = try ServiceConfig(json: json.utf8)
      return nil
    } catch {
      return error.description
    }
  }

  @Test("every member is read; members and policies that are not known are passed over")
  func reads() throws {
    let config = try ServiceConfig(json: whole.utf8)
    #expect(config.balancing == .roundRobin)
    #expect(config.healthCheckService == "clinic.Patients")
    #expect(config.retryThrottle == RetryThrottle(maxTokens: 10, tokenRatio: 100))
    let method = try #require(config.method(path: "/clinic.Patients/Get"))
    #expect(method.timeout == .nanoseconds(1_500_000_001))
    #expect(method.waitForReady)
    #expect(method.maxRequestMessageBytes == 1024)
    #expect(method.maxResponseMessageBytes == 2048)
    #expect(
      method.retryPolicy
        == (try RetryPolicy(
          maxAttempts: 3, initialBackoff: .milliseconds(100), maxBackoff: .seconds(1), backoffMultiplier: 2,
          retryableCodes: [.unavailable, .aborted, .resourceExhausted])))
  }

  @Test("a method's own entry counts before its service's, and that before the default")
  func precedence() throws {
    let config = try ServiceConfig(json: whole.utf8)
    #expect(config.method(path: "/clinic.Appointments/List")?.waitForReady == true)
    #expect(config.method(path: "/clinic.Patients/List")?.timeout == .seconds(30))
    #expect(config.method(path: "/elsewhere/Any")?.waitForReady == false)
    #expect(try ServiceConfig(json: "{}".utf8).method(path: "/a/b") == nil)
  }

  private static func outliers(_ members: String) -> String {
    "{\"loadBalancingConfig\": [{\"outlier_detection_experimental\": {\(members)}}]}"
  }

  @Test("outlier detection stands around another policy; what it does not say is as gRFC A50 says")
  func outlierDetection() throws {
    let config = try ServiceConfig(
      json: Self.outliers(
        #"""
        "interval": "1s", "baseEjectionTime": "2s", "maxEjectionTime": "3.5s", "maxEjectionPercent": 40,
        "failurePercentageEjection":
          {"threshold": 50, "enforcementPercentage": 60, "minimumHosts": 7, "requestVolume": "8"},
        "childPolicy": [{"unknown": {}}, {"least_request_experimental": {"choiceCount": 3}}]
        """#
      ).utf8)
    #expect(config.balancing == .leastRequest(choiceCount: 3))
    let read = try #require(config.outlierDetection)
    #expect(
      [read.interval, read.baseEjectionTime, read.maxEjectionTime] == [.seconds(1), .seconds(2), .milliseconds(3500)])
    #expect(read.maxEjectionPercent == 40)
    let rule = try #require(read.failurePercentage)
    #expect([rule.threshold, rule.enforcementPercentage, rule.minimumHosts, rule.requestVolume] == [50, 60, 7, 8])

    let plain = try ServiceConfig(
      json: Self.outliers(#""childPolicy": [{"round_robin": {}}], "failurePercentageEjection": {}"#).utf8)
    let usual = try #require(plain.outlierDetection)
    #expect(plain.balancing == .roundRobin)
    #expect(
      [usual.interval, usual.baseEjectionTime, usual.maxEjectionTime] == [.seconds(10), .seconds(30), .seconds(300)])
    #expect(usual.maxEjectionPercent == 10)
    let limits = try #require(usual.failurePercentage)
    #expect(
      [limits.threshold, limits.enforcementPercentage, limits.minimumHosts, limits.requestVolume] == [85, 100, 5, 50])
  }

  @Test("least_request draws two, or as many as it is told, at most ten")
  func leastRequest() throws {
    func balancing(_ entry: String) throws -> ServiceConfig.Balancing? {
      try ServiceConfig(json: "{\"loadBalancingConfig\": [\(entry)]}".utf8).balancing
    }
    #expect(try balancing(#"{"least_request": {}}"#) == .leastRequest(choiceCount: 2))
    #expect(try balancing(#"{"least_request_experimental": {"choiceCount": 64}}"#) == .leastRequest(choiceCount: 10))
    #expect(try balancing(#"{"pick_first": {}}"#) == .pickFirst)
    #expect(try ServiceConfig(json: #"{"loadBalancingPolicy": "ROUND_ROBIN"}"#.utf8).balancing == .roundRobin)
  }

  @Test(
    "a config with any fault is refused as a whole, with a sentence that names the member (W55)",
    arguments: [
      ("", "no JSON"), ("[]", "object"), ("{\"methodConfig\": 1}", "methodConfig"),
      (#"{"loadBalancingConfig": []}"#, "no policy"),
      (#"{"loadBalancingConfig": [{"xds_only": {}}]}"#, "no policy"),
      (#"{"loadBalancingConfig": [{"round_robin": {}, "pick_first": {}}]}"#, "exactly one"),
      (#"{"loadBalancingConfig": [{"least_request": {"choiceCount": 1}}]}"#, "choiceCount"),
      (#"{"loadBalancingPolicy": "random"}"#, "'random'"),
      (outliers(""), "childPolicy is missing"),
      (outliers(#""childPolicy": []"#), "[0].childPolicy names no policy"),
      (outliers(#""childPolicy": [{"outlier_detection_experimental": {}}]"#), "[0].childPolicy names no policy"),
      (outliers(#""childPolicy": [{"round_robin": {}}], "interval": "0s""#), "interval"),
      (outliers(#""childPolicy": [{"round_robin": {}}], "maxEjectionPercent": 101"#), "maxEjectionPercent"),
      (outliers(#""childPolicy": [{"round_robin": {}}], "successRateEjection": {}"#), "successRateEjection"),
      (outliers(#""failurePercentageEjection": {"threshold": 101}"#), "failurePercentageEjection.threshold"),
      (outliers(#""failurePercentageEjection": {"minimumHosts": -1}"#), "failurePercentageEjection.minimumHosts"),
      (#"{"methodConfig": [{"name": [{"method": "Get"}]}]}"#, "without a service"),
      (#"{"methodConfig": [{"name": [{"service": "a"}]}, {"name": [{"service": "a"}]}]}"#, "methodConfig[1].name"),
      (#"{"methodConfig": [{"name": [{}], "timeout": "5"}]}"#, "methodConfig[0].timeout"),
      (#"{"methodConfig": [{"name": [{}], "timeout": "-1s"}]}"#, "timeout"),
      (#"{"methodConfig": [{"name": [{}], "timeout": "1.0000000001s"}]}"#, "timeout"),
      (#"{"methodConfig": [{"name": [{}], "maxRequestMessageBytes": -1}]}"#, "maxRequestMessageBytes"),
      (#"{"methodConfig": [{"name": [{}], "maxResponseMessageBytes": "x"}]}"#, "maxResponseMessageBytes"),
      (#"{"retryThrottling": {"maxTokens": 0, "tokenRatio": 1}}"#, "maxTokens"),
      (#"{"retryThrottling": {"maxTokens": 1001, "tokenRatio": 1}}"#, "maxTokens"),
      (#"{"retryThrottling": {"maxTokens": 10, "tokenRatio": 0}}"#, "tokenRatio"),
    ])
  func refused(json: String, fragment: String) {
    let text = refusal(json)
    #expect(text?.contains(fragment) == true, "\(text ?? "accepted")")
  }

  @Test(
    "a retry policy that breaks a rule spoils the whole config (W55)",
    arguments: [
      ("maxAttempts", "1"), ("maxAttempts", nil), ("initialBackoff", "\"0s\""), ("initialBackoff", nil),
      ("maxBackoff", "\"0s\""), ("maxBackoff", nil), ("backoffMultiplier", "0"), ("backoffMultiplier", nil),
      ("retryableStatusCodes", "[]"), ("retryableStatusCodes", "[\"NO_SUCH_CODE\"]"),
      ("retryableStatusCodes", "[\"OK\"]"), ("retryableStatusCodes", "[17]"), ("retryableStatusCodes", nil),
    ] as [(String, String?)])
  func retryPolicy(member: String, value: String?) {
    var members = [
      "maxAttempts": "2", "initialBackoff": "\"0.1s\"", "maxBackoff": "\"1s\"", "backoffMultiplier": "2",
      "retryableStatusCodes": "[\"UNAVAILABLE\"]",
    ]
    func json() -> String {
      let policy = members.map { "\"\($0)\": \($1)" }.sorted().joined(separator: ", ")
      return "{\"methodConfig\": [{\"name\": [{}], \"retryPolicy\": {\(policy)}}]}"
    }
    #expect(refusal(json()) == nil)
    members[member] = value
    #expect(refusal(json())?.contains("methodConfig[0].retryPolicy") == true)
  }

  @Test("a text that is too long is not read")
  func tooLong() {
    let text = "{\"x\": \"" + String(repeating: "x", count: ServiceConfig.maxTextLength) + "\"}"
    #expect(refusal(text)?.contains("longer than") == true)
  }
}
