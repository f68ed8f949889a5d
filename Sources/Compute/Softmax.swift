internal import CKernels
package import Tensors

/// Softmax of rows, computed in 32-bit floats on the calling thread. Rows lie `stride` apart, so that whole vectors can be computed;
/// what lies between them is overwritten.
package enum Softmax {
    /// The distance between rows of so many columns: these, and what is missing to whole vectors.
    package static func stride(_ columns: Int) -> Int {
        let lanes = Int(MV_LANES)
        return (columns + lanes - 1) / lanes * lanes
    }

    /// Writes probabilities as they are stored: in 32-bit floats, or rounded to bfloat16.
    ///
    /// - Parameters:
    ///   - scores: overwritten.
    ///   - result: may be the scores' memory, at its start.
    ///   - offset: where the result begins, in elements.
    ///   - resultStride: the distance between the result's rows; as that of the scores unless given.
    package static func apply(
        _ scores: FloatBuffer, into result: NumberBuffer, at offset: Int = 0, rows: Int, columns: Int,
        resultStride: Int? = nil
    ) {
        let stride = stride(columns)
        let resultStride = resultStride ?? stride
        switch result {
        case .f32(let result):
            mv_softmax(scores.base, result.base + offset, rows, columns, stride, resultStride)
        case .bf16(let result):
            mv_bf16_softmax(scores.base, result.base + offset, rows, columns, stride, resultStride)
        }
    }
}
