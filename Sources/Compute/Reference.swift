import Glibc
import Tensors

/// Slow, readable versions of all kernels, in double precision, which the fast ones are tested against.
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

    /// The nearest bfloat16, ties to even, as a 32-bit float. Beyond the largest one is infinity.
    package static func bfloat16(_ x: Float) -> Float {
        guard x.isFinite, x != 0 else { return x }
        // The value of the last bit; subnormal numbers share that of the smallest normal number.
        let unit = Float(
            sign: .plus, exponent: max(x.exponent, Float.leastNormalMagnitude.exponent) - 7, significand: 1)
        return (x / unit).rounded(.toNearestOrEven) * unit
    }
}

extension Reference {
    /// The gradients by the source, `(rows, inputs)`, and by the weight, `(outputs, inputs)`, of a linear layer
    /// `result = source · weightᵀ + bias`, from that by its result, `(rows, outputs)`.
    package static func linearBackward(
        _ gradient: [Float], source: [Float], weight: [Float], rows: Int, inputs: Int, outputs: Int
    ) -> (source: [Float], weight: [Float]) {
        var sourceGradient = [Float](repeating: 0, count: rows * inputs)
        var weightGradient = [Float](repeating: 0, count: outputs * inputs)
        for row in 0..<rows {
            for input in 0..<inputs {
                sourceGradient[row * inputs + input] = Float(
                    (0..<outputs).reduce(0.0) {
                        $0 + Double(gradient[row * outputs + $1]) * Double(weight[$1 * inputs + input])
                    })
            }
        }
        for output in 0..<outputs {
            for input in 0..<inputs {
                weightGradient[output * inputs + input] = Float(
                    (0..<rows).reduce(0.0) {
                        $0 + Double(gradient[$1 * outputs + output]) * Double(source[$1 * inputs + input])
                    })
            }
        }
        return (sourceGradient, weightGradient)
    }

    /// The derivative of an activation.
    package static func derivative(_ activation: Activation, at x: Double) -> Double {
        switch activation {
        case .gelu:
            return 0.5 * (1 + erf(x / 2.0.squareRoot())) + x * exp(-x * x / 2) / (2 * Double.pi).squareRoot()
        case .geluTanh:
            let root = (2 / Double.pi).squareRoot()
            let t = tanh(root * (x + 0.044715 * x * x * x))
            return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * root * (1 + 3 * 0.044715 * x * x)
        case .swish(let alpha):
            let sigmoid = 1 / (1 + exp(-Double(alpha) * x))
            return sigmoid + Double(alpha) * x * sigmoid * (1 - sigmoid)
        case .relu: return x > 0 ? 1 : 0
        }
    }

    /// The gradient by a row before softmax, from the result and the gradient by it.
    package static func softmaxBackward(_ gradient: [Float], probabilities: [Float]) -> [Float] {
        let mean = zip(gradient, probabilities).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
        return zip(gradient, probabilities).map { Float(Double($1) * (Double($0) - mean)) }
    }

    /// The gradient by a row before layer normalization, from that by the result.
    package static func layerNormBackward(
        _ gradient: [Float], row: [Float], scale: [Float], epsilon: Double
    ) -> [Float] {
        let count = Double(row.count)
        let mean = row.reduce(0) { $0 + Double($1) } / count
        let variance = row.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / count
        let deviation = (variance + epsilon).squareRoot()
        let normalized = row.map { (Double($0) - mean) / deviation }
        let scaled = zip(gradient, scale).map { Double($0) * Double($1) }
        let shift = scaled.reduce(0, +) / count
        let slope = zip(scaled, normalized).reduce(0) { $0 + $1.0 * $1.1 } / count
        return row.indices.map { Float((scaled[$0] - shift - normalized[$0] * slope) / deviation) }
    }

    /// Dropout of a row by SplitMix64: two elements from each number, the lower half first.
    package static func dropout(_ row: [Float], probability: Double, key: UInt64) -> [Float] {
        var generator = SplitMix64(state: key)
        var bits: UInt64 = 0
        return row.indices.map { index in
            bits = index % 2 == 0 ? generator.next() : bits >> 32
            let isKept = Double(bits & 0xFFFF_FFFF) >= (probability * 0x1p32).rounded(.down)
            return isKept ? row[index] * Float(1 / (1 - probability)) : 0
        }
    }

    /// One step of AdamW for one parameter with its moments.
    package static func adamW(
        _ settings: AdamW, parameter: Float, gradient: Float, moments: (Float, Float), step: Int, learningRate: Double
    ) -> (parameter: Float, moments: (Float, Float)) {
        let g = Double(gradient)
        let m = settings.beta1 * Double(moments.0) + (1 - settings.beta1) * g
        let v = settings.beta2 * Double(moments.1) + (1 - settings.beta2) * g * g
        let first = m / (1 - pow(settings.beta1, Double(step)))
        let second = v / (1 - pow(settings.beta2, Double(step)))
        let decayed = Double(parameter) * (1 - learningRate * settings.weightDecay)
        return (Float(decayed - learningRate * first / (second.squareRoot() + settings.epsilon)), (Float(m), Float(v)))
    }
}

/// Slow, readable versions of the eight-bit kernels.
extension Reference {
    /// One row in eight bits, its range in 255 steps.
    package static func quantized(_ row: [Float]) -> (bytes: [UInt8], scale: Float, offset: Float) {
        let minimum = row.min() ?? 0
        let scale = ((row.max() ?? 0) - minimum) / 255
        let bytes = row.map { UInt8((scale == 0 ? 0 : ($0 - minimum) / scale).rounded(.toNearestOrEven)) }
        return (bytes, scale, minimum + 128 * scale)
    }

    /// The row as floats.
    package static func dequantized(_ bytes: [UInt8], scale: Float, offset: Float) -> [Float] {
        bytes.map { Float(Int($0) - 128) * scale + offset }
    }
}
