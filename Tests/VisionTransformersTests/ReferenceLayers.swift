import Compute
import Foundation
import Tensors

@testable import VisionTransformers

/// Layers by their formulas, for one token in double precision.
struct ReferenceLayers {
    let c: BackboneConfiguration

    func normalized(_ x: [Double], _ norm: LayerNorm) -> [Double] {
        let mean = x.reduce(0, +) / Double(x.count)
        let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.count)
        let root = (variance + Double(c.layerNormEpsilon)).squareRoot()
        return x.indices.map { (x[$0] - mean) / root * Double(norm.scale.base[$0]) + Double(norm.shift.base[$0]) }
    }

    func apply(_ x: [Double], _ change: LowRankChange) -> [Double] {
        let columns = change.down.shape[1]
        let low = (0..<change.rank).map { number in
            (0..<columns).reduce(0.0) { $0 + Double(change.down.values[number * columns + $1]) * x[$1] }
        }
        return (0..<change.up.shape[0]).map { row in
            low.indices.reduce(0.0) { $0 + Double(change.up.values[row * change.rank + $1]) * low[$1] }
        }
    }

    func linear(_ x: [Double], _ weights: LinearWeights, _ change: LowRankChange? = nil, _ factors: [Float] = [])
        -> [Double]
    {
        let added = change.map { apply(x, $0) }
        return weights.bias.indices.map { row in
            var sum = Double(weights.bias[row]) + (added.map { $0[row] * Double(factors[row]) } ?? 0)
            for column in x.indices { sum += Double(weights.weight[row * x.count + column]) * x[column] }
            return sum
        }
    }

    func activated(_ x: Double) -> Double {
        if c.isGated { return x / (1 + exp(-x)) }
        switch c.activation {
        case Activation.swish(let alpha): return x / (1 + exp(-Double(alpha) * x))
        case Activation.geluTanh: return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))
        default: return 0.5 * x * (1 + erf(x / 2.0.squareRoot()))
        }
    }
}
