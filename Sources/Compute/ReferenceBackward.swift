import Glibc
import Tensors

extension Reference {
    /// The gradients of a linear layer `result = source · weightᵀ + bias`, given that of its result, `(rows, outputs)`.
    ///
    /// - Returns: those of its source, `(rows, inputs)`, and of its weight, `(outputs, inputs)`.
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

    /// The gradient of a row before softmax, given the result and its gradient.
    package static func softmaxBackward(_ gradient: [Float], probabilities: [Float]) -> [Float] {
        let mean = zip(gradient, probabilities).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
        return zip(gradient, probabilities).map { Float(Double($1) * (Double($0) - mean)) }
    }

    /// The gradient of a row before layer normalization, given that of the result.
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
