internal import ArgumentParser
internal import Storage

/// Prints the tables of the service as JSON, the way an operator has to make them where no engine does.
struct DescribeCommand<Definition: ServiceDefinition>: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(commandName: "describe", abstract: "Print the tables of this service as JSON.")
  }

  @Option(help: ArgumentHelp("Part of the tables' names.", valueName: "name"))
  var environment = "dev"

  func run() {
    CommandOutput.line(TableDescription.json(Definition.tables, environment: environment))
  }
}

enum TableDescription {
  static func json(_ tables: [TableSchema], environment: String) -> String {
    "[\n\(tables.map { "  \(object(of: $0, environment: environment))" }.joined(separator: ",\n"))\n]"
  }

  private static func object(of table: TableSchema, environment: String) -> String {
    var members = [
      ("tableName", JSONText.quoted("clinicavoice-\(table.name)-\(environment)")),
      ("partitionKey", JSONText.quoted(table.partitionKey)),
      ("sortKey", JSONText.quoted(table.sortKey)),
      ("indexes", "[\(table.indexes.map(object).joined(separator: ", "))]"),
    ]
    if let attribute = table.timeToLiveAttribute {
      members.append(("timeToLiveAttribute", JSONText.quoted(attribute)))
    }
    return text(members)
  }

  private static func object(of index: IndexSchema) -> String {
    text([
      ("indexName", JSONText.quoted(index.name)), ("partitionKey", JSONText.quoted(index.partitionKey)),
      ("sortKey", JSONText.quoted(index.sortKey)), ("projection", "\"ALL\""),
    ])
  }

  private static func text(_ members: [(String, String)]) -> String {
    "{\(members.map { "\(JSONText.quoted($0)): \($1)" }.joined(separator: ", "))}"
  }
}
