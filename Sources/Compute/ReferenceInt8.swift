/// Slow, readable versions of the eight-bit kernels.
extension Reference {
    /// One row in eight bits, its range in 255 steps.
    package static func quantized(_ row: [Float]) -> (bytes: [UInt8], scale: Float, offset: Float) {
        let least = row.min() ?? 0
        let scale = ((row.max() ?? 0) - least) / 255
        let bytes = row.map { UInt8((scale == 0 ? 0 : ($0 - least) / scale).rounded(.toNearestOrEven)) }
        return (bytes, scale, least + 128 * scale)
    }

    /// What such a row stands for.
    package static func dequantized(_ bytes: [UInt8], scale: Float, offset: Float) -> [Float] {
        bytes.map { Float(Int($0) - 128) * scale + offset }
    }
}
