/// A dense row-major array of 32-bit floats with a shape.
package struct Tensor: Sendable, Equatable {
    /// The extents, outermost first; empty for a scalar.
    package let shape: [Int]
    /// The elements, the last dimension fastest; their number is the product of `shape`.
    package var values: [Float]

    /// A tensor of the given elements, whose number must be the product of `shape`.
    package init(shape: [Int], values: [Float]) {
        precondition(values.count == shape.reduce(1, *), "number of elements differs from the shape's")
        self.shape = shape
        self.values = values
    }

    /// A tensor filled with one value.
    package init(shape: [Int], repeating value: Float = 0) {
        self.init(shape: shape, values: [Float](repeating: value, count: shape.reduce(1, *)))
    }

    /// The number of elements.
    package var count: Int { values.count }

    /// The index of the first element that is infinite or not a number; nil if all are finite.
    package var firstNotFinite: Int? {
        // Without a branch in the loop, so that it is vectorized.
        let isFinite = values.withUnsafeBufferPointer { values in
            var bad: UInt32 = 0
            for value in values { bad |= value.bitPattern & 0x7F80_0000 == 0x7F80_0000 ? 1 : 0 }
            return bad == 0
        }
        return isFinite ? nil : values.firstIndex { !$0.isFinite }
    }

    /// The same elements with another shape of as many elements.
    package func reshaped(_ shape: [Int]) -> Tensor { Tensor(shape: shape, values: values) }
}

/// The supported element types of the safetensors format, by their names in the file.
package enum ElementType: String, Sendable, CaseIterable {
    case bool = "BOOL"
    case uint8 = "U8"
    case int8 = "I8"
    case uint16 = "U16"
    case int16 = "I16"
    case float16 = "F16"
    case bfloat16 = "BF16"
    case uint32 = "U32"
    case int32 = "I32"
    case float32 = "F32"
    case uint64 = "U64"
    case int64 = "I64"
    case float64 = "F64"

    /// The size of one element, in bytes.
    package var size: Int {
        switch self {
        case .bool, .uint8, .int8: 1
        case .uint16, .int16, .float16, .bfloat16: 2
        case .uint32, .int32, .float32: 4
        case .uint64, .int64, .float64: 8
        }
    }
}

extension ElementType {
    /// Stored elements of this type as 32-bit floats, or nil if this is not a floating-point type.
    /// Little-endian, as the safetensors format prescribes; no alignment is assumed.
    func floats(from bytes: UnsafeRawBufferPointer) -> [Float]? {
        switch self {
        case .float32:
            return ElementType.convert(bytes, from: UInt32.self) { Float(bitPattern: UInt32(littleEndian: $0)) }
        case .float16:
            return ElementType.convert(bytes, from: UInt16.self) {
                Float(Float16(bitPattern: UInt16(littleEndian: $0)))
            }
        case .bfloat16:
            return ElementType.convert(bytes, from: UInt16.self) {
                Float(bitPattern: UInt32(UInt16(littleEndian: $0)) << 16)
            }
        case .float64:
            return ElementType.convert(bytes, from: UInt64.self) {
                Float(Double(bitPattern: UInt64(littleEndian: $0)))
            }
        default:
            return nil
        }
    }

    private static func convert<Stored: FixedWidthInteger>(
        _ bytes: UnsafeRawBufferPointer, from type: Stored.Type, _ element: (Stored) -> Float
    ) -> [Float] {
        let count = bytes.count / MemoryLayout<Stored>.size
        return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
            for index in 0..<count {
                let stored = bytes.loadUnaligned(fromByteOffset: index * MemoryLayout<Stored>.size, as: Stored.self)
                buffer.initializeElement(at: index, to: element(stored))
            }
            initialized = count
        }
    }
}
