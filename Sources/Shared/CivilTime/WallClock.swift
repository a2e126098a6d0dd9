#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// Where a service gets the present instant from; tests and `--development-clock-file` give their own.
package struct WallClock: Sendable {
  package let now: @Sendable () -> Instant

  package init(now: @escaping @Sendable () -> Instant) { self.now = now }

  /// The clock of the machine.
  package static let system = WallClock {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Instant(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
  }
}
