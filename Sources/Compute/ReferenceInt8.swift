/// Slow, readable versions of the eight-bit kernels.
extension Reference {
    /// One row in eight bits: `round((x + offset) / scale)`.
    ///
    /// - Parameter offset: what makes it unsigned, or nil when it is centred: `round(x / scale) + 128`.
    public static func quantized(_ row: [Float], offset: Float?) -> (bytes: [UInt8], scale: Float) {
        guard let offset else {
            let scale = (row.map(abs).max() ?? 0) / 127
            return (row.map { UInt8((scale == 0 ? 0 : $0 / scale).rounded(.toNearestOrEven) + 128) }, scale)
        }
        let scale = max((row.max() ?? 0) + offset, 0) / 255
        return (row.map { UInt8((scale == 0 ? 0 : ($0 + offset) / scale).rounded(.toNearestOrEven)) }, scale)
    }

    /// What such a row stands for.
    public static func dequantized(_ bytes: [UInt8], scale: Float, offset: Float?) -> [Float] {
        bytes.map { byte in
            guard let offset else { return Float(Int(byte) - 128) * scale }
            return Float(byte) * scale - offset
        }
    }
}
