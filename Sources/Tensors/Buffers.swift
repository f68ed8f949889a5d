package import Files

/// Memory for 32-bit floats, aligned to a cache line, with a fixed address for its whole life: uninitialised memory of
/// its own, or a part of a mapped file, which is read-only.
///
/// The owner decides who writes when: the buffer itself synchronises nothing.
package final class FloatBuffer: @unchecked Sendable {
    /// The address of the first element.
    package let base: UnsafeMutablePointer<Float>
    /// The number of elements.
    package let count: Int
    /// The file that the memory is part of.
    private let file: MappedFile?

    /// Takes memory for `count` elements, which are not initialised.
    package init(count: Int) {
        self.count = count
        file = nil
        base = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1) * MemoryLayout<Float>.stride, alignment: 64)
            .bindMemory(to: Float.self, capacity: max(count, 1))
    }

    /// Takes memory and copies the elements into it.
    package convenience init(_ values: some Collection<Float>) {
        self.init(count: values.count)
        _ = UnsafeMutableBufferPointer(start: base, count: count).initialize(from: values)
    }

    /// A part of a mapped file, which stays mapped while the buffer lives. Writing to it ends the process.
    ///
    /// - Returns: nil when the range is not inside the file, not aligned to a cache line, or not a whole number of
    ///   elements.
    package init?(viewing file: MappedFile, _ range: Range<Int>) {
        guard let start = file.bytes.baseAddress, range.lowerBound >= 0, range.upperBound <= file.bytes.count,
            range.lowerBound.isMultiple(of: 64), range.count.isMultiple(of: MemoryLayout<Float>.stride)
        else { return nil }
        count = range.count / MemoryLayout<Float>.stride
        self.file = file
        base = UnsafeMutableRawPointer(mutating: start + range.lowerBound)
            .bindMemory(to: Float.self, capacity: max(count, 1))
    }

    deinit { if file == nil { UnsafeMutableRawPointer(base).deallocate() } }

    /// The elements as a buffer.
    package var elements: UnsafeMutableBufferPointer<Float> { UnsafeMutableBufferPointer(start: base, count: count) }

    /// Whether it is part of a file, and read-only.
    package var isReadOnly: Bool { file != nil }

    /// The bytes of the elements.
    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(elements) }
}

/// Uninitialised memory for bfloat16 numbers, each held as its 16 bits: the upper half of a 32-bit float. Aligned to a
/// cache line, with a fixed address for its whole life.
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
