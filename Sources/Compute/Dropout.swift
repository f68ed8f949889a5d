internal import CKernels
import Tensors

/// Dropout whose mask is a function of a key and an element's index, so that it is the same on any thread, and again in
/// the backward pass.
///
/// Srivastava et al., JMLR 2014: an element is dropped with probability `probability`, the others are divided by
/// `1 - probability`. The mask comes from SplitMix64 started at the key.
package struct Dropout: Sendable, Equatable {
    /// The probability that an element is dropped, from 0 to less than 1.
    package let probability: Double

    /// Dropout by a probability in 0..<1.
    package init(probability: Double) {
        precondition((0..<1).contains(probability), "the probability of dropout is not in 0..<1")
        self.probability = probability
    }

    /// `result = mask · source`; `result` may be `source`.
    package func apply(
        _ source: UnsafePointer<Float>, into result: UnsafeMutablePointer<Float>, count: Int, key: UInt64
    ) {
        mv_dropout(source, result, count, key, threshold, scale, 0)
    }

    /// `sum += mask · source`.
    package func add(
        _ source: UnsafePointer<Float>, to sum: UnsafeMutablePointer<Float>, count: Int, key: UInt64
    ) {
        mv_dropout(source, sum, count, key, threshold, scale, 1)
    }

    /// A key made of several numbers, such as (seed, step, image, module).
    package static func key(_ numbers: UInt64...) -> UInt64 { numbers.reduce(0) { SplitMix64.mix($0, $1) } }

    private var threshold: UInt32 { UInt32(min(probability * 0x1p32, 0x1p32 - 1)) }
    private var scale: Float { Float(1 / (1 - probability)) }
}
