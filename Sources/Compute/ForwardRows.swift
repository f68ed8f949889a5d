internal import CKernels

/// What a forward pass in bfloat16 needs beside matrix products: loops over rows that are computed in 32-bit floats and rounded at
/// the end. They run on the calling thread.
extension BFloat16 {
    /// The distance between the rows of scores that `softmax` takes: the columns, and what is missing to whole vectors.
    public static func paddedColumns(_ columns: Int) -> Int { (columns + 15) / 16 * 16 }

    /// Layer normalization of dense rows with scale and shift.
    ///
    /// - Parameters:
    ///   - source: (rows, columns).
    ///   - result: (rows, columns).
    public static func layerNorm(
        _ source: UnsafePointer<Float>, scale: UnsafePointer<Float>, shift: UnsafePointer<Float>, epsilon: Float,
        into result: UnsafeMutablePointer<UInt16>, rows: Int, columns: Int
    ) {
        mv_bf16_layer_norm(source, scale, shift, epsilon, result, rows, columns)
    }

    /// Softmax of rows of so many columns that lie `paddedColumns` apart.
    ///
    /// - Parameters:
    ///   - scores: overwritten.
    ///   - result: rows as far apart, zeros between them.
    public static func softmax(
        _ scores: UnsafeMutablePointer<Float>, into result: UnsafeMutablePointer<UInt16>, rows: Int, columns: Int
    ) {
        mv_bf16_softmax(scores, result, rows, columns, paddedColumns(columns))
    }
}
