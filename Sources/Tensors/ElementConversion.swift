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
