import Glibc

/// Slow, readable versions of every kernel, in double precision: what the fast ones are tested against.
package enum Reference {
    /// `activation(src · weightᵀ + bias)` for dense `src` of `rows x inputs` and `weight` of `outputs x inputs`.
    package static func linear(
        _ source: [Float], weight: [Float], bias: [Float]?, rows: Int, inputs: Int, outputs: Int,
        activation: Activation? = nil
    ) -> [Float] {
        var result = [Float](repeating: 0, count: rows * outputs)
        for row in 0..<rows {
            for output in 0..<outputs {
                var sum = Double(bias?[output] ?? 0)
                for input in 0..<inputs {
                    sum += Double(source[row * inputs + input]) * Double(weight[output * inputs + input])
                }
                result[row * outputs + output] = Float(apply(activation, to: sum))
            }
        }
        return result
    }

    /// An activation of one value.
    package static func apply(_ activation: Activation?, to x: Double) -> Double {
        switch activation {
        case nil: x
        case .gelu: 0.5 * x * (1 + erf(x / 2.0.squareRoot()))
        case .geluTanh: 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
        case .swish(let alpha): x / (1 + exp(-Double(alpha) * x))
        case .relu: max(x, 0)
        }
    }

    /// Softmax of one row.
    package static func softmax(_ row: [Float]) -> [Float] {
        let highest = row.max() ?? 0
        let powers = row.map { exp(Double($0 - highest)) }
        let sum = powers.reduce(0, +)
        return powers.map { Float($0 / sum) }
    }

    /// Layer normalization of one row: population variance, epsilon under the root.
    package static func layerNorm(_ row: [Float], scale: [Float], shift: [Float], epsilon: Double) -> [Float] {
        let mean = row.reduce(0) { $0 + Double($1) } / Double(row.count)
        let variance = row.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(row.count)
        return row.indices.map {
            Float((Double(row[$0]) - mean) / (variance + epsilon).squareRoot() * Double(scale[$0]) + Double(shift[$0]))
        }
    }

    /// The nearest bfloat16, or the even one of two that are as near, as a 32-bit float. Beyond the largest one is infinity.
    package static func bfloat16(_ x: Float) -> Float {
        guard x.isFinite, x != 0 else { return x }
        // The value of the last place that is kept; subnormal numbers share that of the smallest normal one.
        let place = Float(
            sign: .plus, exponent: max(x.exponent, Float.leastNormalMagnitude.exponent) - 7, significand: 1)
        return (x / place).rounded(.toNearestOrEven) * place
    }
}
