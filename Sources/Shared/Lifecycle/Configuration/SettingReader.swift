internal import Configuration
internal import FoundationEssentials

/// Looks settings up in the flags, the environment and the configuration file, in this order, and collects what is
/// wrong with them. An empty value counts as none.
struct SettingReader {
  /// A value and where it came from, in words for a fault.
  struct Found {
    let text: String
    let origin: String
  }

  private struct Source {
    let values: any ConfigSnapshot
    let origin: @Sendable (Setting) -> String
  }

  private let sources: [Source]
  /// One clear sentence each.
  private(set) var faults: [String] = []

  /// The largest configuration file that is read.
  static let maximumFileBytes = 1 << 20

  /// - Parameter configurationFile: overrides `CLINICAVOICE_CONFIG`.
  init(flags: [Setting: ConfigValue], environment: [String: String], configurationFile: String?) {
    var sources = [
      Source(
        values: InMemoryProvider(
          name: "flags",
          values: Dictionary(uniqueKeysWithValues: flags.map { (AbsoluteConfigKey([$0.rawValue]), $1) })
        ).snapshot(),
        origin: { $0.flagName }),
      Source(
        values: EnvironmentVariablesProvider(environmentVariables: environment)
          .prefixKeys(with: "clinicavoice").snapshot(),
        origin: { $0.environmentName }),
    ]
    let path = configurationFile ?? environment["CLINICAVOICE_CONFIG"].flatMap { $0.isEmpty ? nil : $0 }
    if let path {
      do throws(FileFault) {
        sources.append(
          Source(values: try Self.file(path), origin: { "\"\($0.rawValue)\" in \(path)" }))
      } catch {
        faults.append(error.sentence)
      }
    }
    self.sources = sources
  }

  mutating func fault(_ sentence: String) { faults.append(sentence) }

  /// Notes that a value is not what its setting takes.
  mutating func fault(_ found: Found, _ expected: String) {
    faults.append("The value \"\(found.text)\" of \(found.origin) is not \(expected).")
  }

  mutating func text(_ setting: Setting) -> Found? {
    guard let (content, origin) = value(setting, .string, "a string"), case .string(let text) = content,
      !text.isEmpty
    else { return nil }
    return Found(text: text, origin: origin)
  }

  mutating func flag(_ setting: Setting) -> Bool {
    guard let (content, _) = value(setting, .bool, "true or false"), case .bool(let isOn) = content else {
      return false
    }
    return isOn
  }

  private mutating func value(
    _ setting: Setting, _ type: ConfigType, _ expected: String
  ) -> (ConfigContent, origin: String)? {
    for source in sources {
      do {
        guard let value = try source.values.value(forKey: AbsoluteConfigKey([setting.rawValue]), type: type).value
        else { continue }
        if case .string("") = value.content { continue }
        return (value.content, source.origin(setting))
      } catch {
        faults.append("The value of \(source.origin(setting)) is not \(expected).")
        return nil
      }
    }
    return nil
  }
}

extension SettingReader {
  private struct FileFault: Error {
    let sentence: String
  }

  /// What a JSON object is, for its names only.
  private struct Names: Decodable {
    let all: [String]

    private struct Name: CodingKey {
      let stringValue: String
      var intValue: Int? { nil }
      init(stringValue: String) { self.stringValue = stringValue }
      init?(intValue: Int) { nil }
    }

    init(from decoder: any Decoder) throws {
      all = try decoder.container(keyedBy: Name.self).allKeys.map(\.stringValue)
    }
  }

  /// A misspelt member would silently leave a default in force, so an unknown one is a fault.
  private static func file(_ path: String) throws(FileFault) -> any ConfigSnapshot {
    guard let data = try? Data(contentsOf: URL(filePath: path)), data.count <= maximumFileBytes else {
      throw FileFault(sentence: "The configuration file \(path) cannot be read.")
    }
    guard let names = try? JSONDecoder().decode(Names.self, from: data) else {
      throw FileFault(sentence: "The configuration file \(path) is not a JSON object.")
    }
    let unknown = names.all.filter { Setting(rawValue: $0) == nil }.sorted()
    guard unknown.isEmpty else {
      let list = unknown.map { "\"\($0)\"" }.joined(separator: ", ")
      throw FileFault(sentence: "The configuration file \(path) has members that are no settings: \(list).")
    }
    do {
      return try JSONSnapshot(data: data.bytes, providerName: path, parsingOptions: .default)
    } catch {
      throw FileFault(sentence: "The configuration file \(path) holds values that are neither text nor true or false.")
    }
  }
}
