/// Uninitialised memory for eight-bit numbers, aligned to a cache line, with a fixed address for its whole life.
///
/// The owner decides who writes when: the buffer itself synchronises nothing.
package final class ByteBuffer: @unchecked Sendable {
    /// The address of the first element.
    package let base: UnsafeMutablePointer<UInt8>
    /// The number of elements.
    package let count: Int

    /// Takes memory for `count` elements, which are not initialised.
    package init(count: Int) {
        self.count = count
        base = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1), alignment: 64)
            .bindMemory(to: UInt8.self, capacity: max(count, 1))
    }

    deinit { UnsafeMutableRawPointer(base).deallocate() }
}
