internal import COneDNN
package import Tensors

/// How the numbers that kernels multiply are stored. Sums of products are 32-bit floats either way.
package enum OperandType: String, Sendable, CaseIterable {
    /// 32-bit floats.
    case f32
    /// bfloat16: a 32-bit float's sign and exponent with 7 bits of its fraction. Half the memory, twice the products
    /// per second on processors that have instructions for them.
    case bf16

    /// Whether the processor has instructions for it. The library emulates bf16 on some others, slower than f32, and
    /// refuses it on the rest.
    package var isSupported: Bool { self == .f32 || mv_has_bf16() != 0 }

    /// Refuses a type that the processor has no instructions for.
    ///
    /// - Throws: `ComputeError` naming the instructions.
    package func check() throws(ComputeError) {
        guard !isSupported else { return }
        throw ComputeError(
            operation: "compute in \(rawValue)", reason: "the processor has neither AVX512_BF16 nor AMX")
    }

    /// The type of one element in memory.
    package var element: ElementType { self == .f32 ? .float32 : .bfloat16 }

    /// The library's name for it.
    var code: mv_type { self == .f32 ? MV_F32 : MV_BF16 }
}

/// Memory for numbers that kernels read and write, of either type.
package enum NumberBuffer: Sendable {
    case f32(FloatBuffer)
    case bf16(BFloat16Buffer)

    /// Takes memory for `count` elements, which are not initialised.
    package init(_ type: OperandType, count: Int) {
        self = type == .f32 ? .f32(FloatBuffer(count: count)) : .bf16(BFloat16Buffer(count: count))
    }

    /// The type of its elements.
    package var type: OperandType {
        switch self {
        case .f32: .f32
        case .bf16: .bf16
        }
    }

    /// The address of the first element, for loops that take either type.
    var memory: UnsafeMutableRawPointer { address(0) }

    /// Whether its elements are bfloat16 numbers, as loops in C take it.
    var isNarrow: Int32 { type == .bf16 ? 1 : 0 }

    /// The number of elements.
    package var count: Int {
        switch self {
        case .f32(let buffer): buffer.count
        case .bf16(let buffer): buffer.count
        }
    }

    /// The address of an element.
    func address(_ offset: Int) -> UnsafeMutableRawPointer {
        switch self {
        case .f32(let buffer): UnsafeMutableRawPointer(buffer.base + offset)
        case .bf16(let buffer): UnsafeMutableRawPointer(buffer.base + offset)
        }
    }

    /// Sets elements to zero.
    package func clear(_ range: Range<Int>) {
        switch self {
        case .f32(let buffer): (buffer.base + range.lowerBound).update(repeating: 0, count: range.count)
        case .bf16(let buffer): (buffer.base + range.lowerBound).update(repeating: 0, count: range.count)
        }
    }

    /// Rounds `count` 32-bit floats into bfloat16 memory (see `BFloat16.round`). Memory of 32-bit floats is not
    /// changed: the kernel that computes such floats writes there itself.
    package func round(_ source: UnsafePointer<Float>, count: Int) {
        guard case .bf16(let buffer) = self else { return }
        BFloat16.round(source, into: buffer.base, count: count)
    }

    /// Fills it with 32-bit floats, rounded where needed.
    package func set(_ source: UnsafePointer<Float>) {
        switch self {
        case .f32(let buffer): buffer.base.update(from: source, count: buffer.count)
        case .bf16(let buffer): BFloat16.round(source, into: buffer.base, count: buffer.count)
        }
    }

    /// An element as a 32-bit float.
    package func element(_ index: Int) -> Float {
        switch self {
        case .f32(let buffer): buffer.base[index]
        case .bf16(let buffer): Float(bitPattern: UInt32(buffer.base[index]) << 16)
        }
    }

    /// Copies elements of a buffer of the same type.
    package func copy(_ range: Range<Int>, of source: NumberBuffer, to offset: Int) {
        let size = type == .f32 ? MemoryLayout<Float>.stride : MemoryLayout<UInt16>.stride
        address(offset).copyMemory(from: source.address(range.lowerBound), byteCount: range.count * size)
    }

    /// Fills a part with 32-bit floats, rounded where needed.
    package func set(_ source: UnsafePointer<Float>, count: Int, at offset: Int) {
        switch self {
        case .f32(let buffer): (buffer.base + offset).update(from: source, count: count)
        case .bf16(let buffer): BFloat16.round(source, into: buffer.base + offset, count: count)
        }
    }

    /// Copies the first elements as 32-bit floats.
    package func copy(to result: UnsafeMutablePointer<Float>, count: Int) {
        switch self {
        case .f32(let buffer): result.update(from: buffer.base, count: count)
        case .bf16(let buffer): BFloat16.widen(buffer.base, into: result, count: count)
        }
    }

    /// The first elements as 32-bit floats: where they are, or widened into other memory.
    package func floats(count: Int, widenedInto memory: FloatBuffer) -> UnsafePointer<Float> {
        switch self {
        case .f32(let buffer): return UnsafePointer(buffer.base)
        case .bf16(let buffer):
            BFloat16.widen(buffer.base, into: memory.base, count: count)
            return UnsafePointer(memory.base)
        }
    }

    /// Adds 32-bit floats to the first elements.
    package func add(_ x: UnsafePointer<Float>, count: Int) {
        switch self {
        case .f32(let buffer): RowKernels.add(x, to: buffer.base, count: count)
        case .bf16(let buffer): BFloat16.add(x, to: buffer.base, count: count)
        }
    }

    /// `self = a · b`, element by element for the first `count`, of buffers of one type; it may be `a` or `b`.
    package func setProduct(_ a: NumberBuffer, _ b: NumberBuffer, count: Int) {
        switch (a, b, self) {
        case (.f32(let a), .f32(let b), .f32(let result)):
            RowKernels.multiply(a.base, b.base, into: result.base, count: count)
        case (.bf16(let a), .bf16(let b), .bf16(let result)):
            BFloat16.multiply(a.base, b.base, into: result.base, count: count)
        default: preconditionFailure("buffers of different types")
        }
    }
}

/// An operand of a kernel: a buffer, and the offset at which the operand begins.
package struct Operand: Sendable {
    private enum Memory {
        case numbers(NumberBuffer)
        case bytes(ByteBuffer)
    }

    private let memory: Memory
    /// Elements from the buffer's start.
    private let offset: Int

    /// An operand in a buffer.
    package init(_ buffer: NumberBuffer, offset: Int = 0) {
        memory = .numbers(buffer)
        self.offset = offset
    }

    /// An operand in a buffer of 32-bit floats.
    package init(_ buffer: FloatBuffer, offset: Int = 0) { self.init(.f32(buffer), offset: offset) }

    /// A buffer of unsigned eight-bit numbers.
    package init(_ buffer: ByteBuffer) {
        memory = .bytes(buffer)
        offset = 0
    }

    var element: ElementType {
        switch memory {
        case .numbers(let buffer): buffer.type.element
        case .bytes: .uint8
        }
    }

    var address: UnsafeMutableRawPointer {
        switch memory {
        case .numbers(let buffer): buffer.address(offset)
        case .bytes(let buffer): UnsafeMutableRawPointer(buffer.base + offset)
        }
    }
}
