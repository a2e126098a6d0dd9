internal import Foundation

/// The time by which a store decides on expiry and stamps its journal: microseconds since 1970.
package typealias StoreClock = @Sendable () -> Int64

/// The system's clock.
package let systemStoreClock: StoreClock = { Int64(Date().timeIntervalSince1970 * 1_000_000) }
