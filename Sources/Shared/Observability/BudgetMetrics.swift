package import Metrics

/// Counts what exceeds a budget of the server: `clinicavoice.rpc.server.budget.exceeded` with the label `budget`, the
/// name that the log line has. Of our own, since gRPC has no name for it.
///
/// Each counter is there from the start, with zero, so that a rise from nothing is one that an alarm can see.
package struct BudgetMetrics: Sendable {
  private let counters: [String: Counter]

  /// - Parameter budgets: all there are.
  package init(budgets: [String], factory: any MetricsFactory = MetricsSystem.factory) {
    counters = Dictionary(
      budgets.map { budget in
        let counter = Counter(
          label: "clinicavoice.rpc.server.budget.exceeded", dimensions: [("budget", budget)], factory: factory)
        return (budget, counter)
      }, uniquingKeysWith: { first, _ in first })
  }

  package func exceeded(_ budget: String) { counters[budget]?.increment() }
}
