internal import CKernels

/// Loops over bfloat16 numbers, each held as its 16 bits; they run on the calling thread.
package enum BFloat16 {
    /// Rounds to the nearest, ties to even; NaN stays NaN.
    package static func round(_ source: UnsafePointer<Float>, into result: UnsafeMutablePointer<UInt16>, count: Int) {
        mv_bf16_round(source, result, count)
    }

    /// Gives the same numbers as 32-bit floats.
    package static func widen(_ source: UnsafePointer<UInt16>, into result: UnsafeMutablePointer<Float>, count: Int) {
        mv_bf16_widen(source, result, count)
    }

    /// `result = a · b`, element by element, rounded; `result` may be `a` or `b`.
    package static func multiply(
        _ a: UnsafePointer<UInt16>, _ b: UnsafePointer<UInt16>, into result: UnsafeMutablePointer<UInt16>, count: Int
    ) {
        mv_bf16_multiply(a, b, result, count)
    }

    /// `sum += x`, rounded.
    package static func add(_ x: UnsafePointer<Float>, to sum: UnsafeMutablePointer<UInt16>, count: Int) {
        mv_bf16_add(x, sum, count)
    }

    /// Takes the gradient by softmax's result to that by its argument, rounded: `p · (d - Σ p · d)` in each dense row,
    /// computed in 32-bit floats.
    ///
    /// - Parameters:
    ///   - probabilities: softmax's result, (rows, columns).
    ///   - gradient: (rows, columns).
    ///   - result: (rows, columns).
    package static func softmaxBackward(
        probabilities: UnsafePointer<UInt16>, gradient: UnsafePointer<Float>, into result: UnsafeMutablePointer<UInt16>,
        rows: Int, columns: Int
    ) {
        mv_bf16_softmax_backward(probabilities, gradient, result, rows, columns)
    }

    /// Layer normalization of dense rows with scale and shift, computed in 32-bit floats, rounded at the end.
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
