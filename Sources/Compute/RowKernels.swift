internal import CKernels
package import Tensors

/// Softmax of rows, computed in 32-bit floats on the calling thread. Rows are `stride` elements apart, so that whole
/// vectors can be computed; the elements between them are overwritten.
package enum Softmax {
    /// The distance between rows of `columns` elements: their number rounded up to whole vectors.
    package static func stride(_ columns: Int) -> Int {
        let lanes = Int(MV_LANES)
        return (columns + lanes - 1) / lanes * lanes
    }

    /// Writes probabilities as they are stored: in 32-bit floats, or rounded to bfloat16.
    ///
    /// - Parameters:
    ///   - scores: overwritten.
    ///   - bias: what is added to each column of the scores first, or nil.
    ///   - result: may be the scores' memory, at its start.
    ///   - offset: where the result begins, in elements.
    ///   - resultStride: the distance between the result's rows; that of the scores unless specified.
    package static func apply(
        _ scores: FloatBuffer, plus bias: UnsafePointer<Float>? = nil, into result: NumberBuffer, at offset: Int = 0,
        rows: Int, columns: Int, resultStride: Int? = nil
    ) {
        let stride = stride(columns)
        let resultStride = resultStride ?? stride
        switch result {
        case .f32(let result):
            mv_softmax(scores.base, bias, result.base + offset, rows, columns, stride, resultStride)
        case .bf16(let result):
            mv_bf16_softmax(scores.base, bias, result.base + offset, rows, columns, stride, resultStride)
        }
    }
}

/// Loops over dense rows for backward passes, which run on the calling thread. Sums are taken in a fixed order, the
/// same on any thread.
package enum RowKernels {
    /// Takes the gradient by softmax's result to that by its argument: `d = p · (d - Σ p · d)` in each row.
    ///
    /// - Parameters:
    ///   - probabilities: softmax's result, (rows, columns).
    ///   - gradient: (rows, columns), changed in place.
    package static func softmaxBackward(
        probabilities: UnsafePointer<Float>, gradient: UnsafeMutablePointer<Float>, rows: Int, columns: Int
    ) {
        mv_softmax_backward(probabilities, gradient, rows, columns)
    }

    /// Adds the gradient by a layer normalization's argument to `inputGradient`.
    ///
    /// - Parameters:
    ///   - input: the argument, (rows, columns).
    ///   - scale: the normalization's scale, (columns).
    ///   - gradient: the gradient by the result, (rows, columns).
    ///   - inputGradient: (rows, columns).
    package static func addLayerNormBackward(
        input: UnsafePointer<Float>, scale: UnsafePointer<Float>, epsilon: Float, gradient: UnsafePointer<Float>,
        to inputGradient: UnsafeMutablePointer<Float>, rows: Int, columns: Int
    ) {
        mv_layer_norm_backward(input, scale, epsilon, gradient, inputGradient, rows, columns)
    }

    /// The sum of the products of corresponding elements.
    package static func dot(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, count: Int) -> Float {
        mv_dot(a, b, count)
    }

    /// `sum += factor · x`.
    package static func add(
        _ x: UnsafePointer<Float>, times factor: Float = 1, to sum: UnsafeMutablePointer<Float>, count: Int
    ) {
        mv_add_scaled(x, factor, sum, count)
    }

    /// `result = a · b`, element by element; `result` may be `a` or `b`.
    package static func multiply(
        _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, into result: UnsafeMutablePointer<Float>, count: Int
    ) {
        mv_multiply(a, b, result, count)
    }
}

/// A checksum of 64 bits that finds damage, not tampering, at the speed of memory.
///
/// - Returns: the same number for the same bytes on all processors of one byte order.
package func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    guard let base = bytes.baseAddress else { return mv_checksum("", 0) }
    return mv_checksum(base, bytes.count)
}

/// Low-rank changes of what each attention head reads or gives.
package enum HeadKernels {
    /// Takes a head's part of a row to the rank: `z[h] = b[h]ᵀ x[h]`.
    ///
    /// - Parameters:
    ///   - x: (heads · size).
    ///   - b: the rows of all heads, (heads · size, rank).
    ///   - z: (heads, rank).
    package static func down(
        _ x: UnsafePointer<Float>, _ b: FloatBuffer, into z: UnsafeMutablePointer<Float>, heads: Int, size: Int,
        rank: Int
    ) {
        mv_heads_down(x, b.base, z, heads, size, rank)
    }

    /// Takes each head's rank to its part of a row: `y[h] += b[h]ᵀ z[h]`.
    ///
    /// - Parameters:
    ///   - z: (heads, rank).
    ///   - b: the columns of all heads, (rank, heads · size).
    ///   - y: (heads · size).
    package static func up(
        _ z: UnsafePointer<Float>, _ b: FloatBuffer, to y: UnsafeMutablePointer<Float>, heads: Int, size: Int, rank: Int
    ) {
        mv_heads_up(z, b.base, y, heads, size, rank)
    }
}
