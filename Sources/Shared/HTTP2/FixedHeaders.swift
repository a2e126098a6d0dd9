internal import CNGHTTP2

/// A header list that never changes, laid out once as the library wants it and sent without copying.
///
/// Never freed: meant for the few lists that a program has as constants.
// Safe to share: written only in the initializer, read only afterwards, and its memory lives for ever.
@safe package final class FixedHeaders: @unchecked Sendable {
  let fields: UnsafeMutableBufferPointer<nghttp2_nv>

  package init(_ list: [(name: StaticString, value: StaticString)]) {
    unsafe fields = UnsafeMutableBufferPointer<nghttp2_nv>.allocate(capacity: list.count)
    for (index, entry) in list.enumerated() {
      let flags = UInt8(NGHTTP2_NV_FLAG_NO_COPY_NAME.rawValue | NGHTTP2_NV_FLAG_NO_COPY_VALUE.rawValue)
      unsafe fields.initializeElement(
        at: index,
        to: nghttp2_nv(
          name: UnsafeMutablePointer(mutating: entry.name.utf8Start),
          value: UnsafeMutablePointer(mutating: entry.value.utf8Start),
          namelen: entry.name.utf8CodeUnitCount, valuelen: entry.value.utf8CodeUnitCount, flags: flags))
    }
  }
}
