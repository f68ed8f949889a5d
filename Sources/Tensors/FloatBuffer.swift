/// Uninitialised memory for 32-bit floats, aligned to a cache line, with a fixed address for its whole life.
///
/// The owner decides who writes when: the buffer itself synchronises nothing.
public final class FloatBuffer: @unchecked Sendable {
    /// The address of the first element.
    public let base: UnsafeMutablePointer<Float>
    /// The number of elements.
    public let count: Int

    /// Takes memory for `count` elements, which are not initialised.
    public init(count: Int) {
        self.count = count
        base = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1) * MemoryLayout<Float>.stride, alignment: 64)
            .bindMemory(to: Float.self, capacity: max(count, 1))
    }

    /// Takes memory and copies the elements into it.
    public convenience init(_ values: some Collection<Float>) {
        self.init(count: values.count)
        _ = UnsafeMutableBufferPointer(start: base, count: count).initialize(from: values)
    }

    deinit { UnsafeMutableRawPointer(base).deallocate() }

    /// The elements as a buffer.
    public var elements: UnsafeMutableBufferPointer<Float> { UnsafeMutableBufferPointer(start: base, count: count) }
}
