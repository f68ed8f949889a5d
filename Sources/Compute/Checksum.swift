internal import CKernels

/// A checksum of 64 bits that finds damage, not tampering, at the speed of memory.
///
/// - Returns: the same number for the same bytes on all processors of one byte order.
package func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    guard let base = bytes.baseAddress else { return mv_checksum("", 0) }
    return mv_checksum(base, bytes.count)
}
