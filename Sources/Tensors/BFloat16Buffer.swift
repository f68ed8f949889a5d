/// Uninitialised memory for bfloat16 numbers, each held as its 16 bits: the upper half of a 32-bit float. Aligned to a cache
/// line, with a fixed address for its whole life.
///
/// The owner decides who writes when: the buffer itself synchronises nothing.
package final class BFloat16Buffer: @unchecked Sendable {
    /// The address of the first element.
    package let base: UnsafeMutablePointer<UInt16>
    /// The number of elements.
    package let count: Int

    /// Takes memory for `count` elements, which are not initialised.
    package init(count: Int) {
        self.count = count
        base = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1) * MemoryLayout<UInt16>.stride, alignment: 64)
            .bindMemory(to: UInt16.self, capacity: max(count, 1))
    }

    deinit { UnsafeMutableRawPointer(base).deallocate() }
}
