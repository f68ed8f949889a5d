internal import CKernels

/// What a forward pass in bfloat16 needs beside matrix products: loops over rows that are computed in 32-bit floats and rounded at
/// the end. They run on the calling thread.
extension BFloat16 {
    /// Layer normalization of dense rows with scale and shift.
    ///
    /// - Parameters:
    ///   - source: (rows, columns).
    ///   - result: (rows, columns).
    package static func layerNorm(
        _ source: UnsafePointer<Float>, scale: UnsafePointer<Float>, shift: UnsafePointer<Float>, epsilon: Float,
        into result: UnsafeMutablePointer<UInt16>, rows: Int, columns: Int
    ) {
        mv_bf16_layer_norm(source, scale, shift, epsilon, result, rows, columns)
    }
}
