import Compute
import Tensors

/// What each channel of a layer's inputs is shifted and divided by before it is rounded to eight bits, so that the
/// steps of a row fit all its channels. Both are folded into the layer before (the writer) and the layers that read
/// them (the readers): nothing but rounding changes.
///
/// The shift is the channel's mean, which in a Vision Transformer's residual stream may be many times its deviation.
/// The divisor shares large deviations with large weights: the root of deviation over the weights' root mean square,
/// after SmoothQuant (Xiao et al., arXiv 2211.10438), which takes largest values.
struct SmoothingScales {
    /// For each channel.
    let shift, divisor: [Float]

    /// The scales for measured inputs.
    ///
    /// - Parameters:
    ///   - moments: of the channels.
    ///   - readers: the layers that read them.
    init(_ moments: InputMoments, readers: [LinearWeights]) {
        let channels = moments.size
        var squares = [Float](repeating: 0, count: channels)
        for reader in readers {
            for row in reader.bias.indices {
                for channel in 0..<channels {
                    let weight = reader.weight[row * channels + channel]
                    squares[channel] += weight * weight
                }
            }
        }
        let outputs = readers.reduce(0) { $0 + $1.bias.count }
        let (deviations, weights) = (moments.deviation, squares.map { ($0 / Float(max(outputs, 1))).squareRoot() })
        shift = moments.mean
        // A channel that hardly varies may still vary in other images.
        let (minimumDeviation, minimumWeight) = (Self.mean(deviations) * 1e-2, Self.mean(weights) * 1e-2)
        divisor = zip(deviations, weights).map { deviation, weight in
            let (deviation, weight) = (max(deviation, minimumDeviation), max(weight, minimumWeight))
            return weight > 0 && deviation > 0 ? (deviation / weight).squareRoot() : 1
        }
    }

    /// The scales without calibration: the normalization's shift and scale stand for the channels' means and
    /// deviations.
    init(_ norm: LayerNorm) {
        shift = Array(norm.shift.elements)
        divisor = norm.scale.elements.map { $0 == 0 ? 1 : abs($0).squareRoot() }
    }

    private init(shift: [Float], divisor: [Float]) {
        (self.shift, self.divisor) = (shift, divisor)
    }

    /// The division alone, for inputs that the layer before cannot shift.
    var withoutShift: SmoothingScales {
        SmoothingScales(shift: [Float](repeating: 0, count: shift.count), divisor: divisor)
    }

    private static func mean(_ values: [Float]) -> Float { values.reduce(0, +) / Float(max(values.count, 1)) }

    /// A normalization that writes shifted and divided channels.
    func folded(_ norm: LayerNorm) -> LayerNorm {
        let channels = shift.indices
        return LayerNorm(
            scale: FloatBuffer(channels.map { norm.scale.elements[$0] / divisor[$0] }),
            shift: FloatBuffer(channels.map { (norm.shift.elements[$0] - shift[$0]) / divisor[$0] }))
    }

    /// A layer that reads shifted and divided channels.
    func folded(reader layer: LinearWeights) -> LinearWeights {
        var result = layer
        let channels = shift.count
        for row in layer.bias.indices {
            var sum: Float = 0
            for channel in 0..<channels {
                let index = row * channels + channel
                sum += layer.weight[index] * shift[channel]
                result.weight[index] = layer.weight[index] * divisor[channel]
            }
            result.bias[row] += sum
        }
        return result
    }

    /// A layer whose last outputs become shifted and divided channels: values, which attention only averages.
    func folded(writer layer: LinearWeights) -> LinearWeights {
        var result = layer
        let first = layer.bias.count - shift.count
        let columns = layer.weight.count / layer.bias.count
        for (channel, divisor) in divisor.enumerated() {
            let row = first + channel
            result.bias[row] = (layer.bias[row] - shift[channel]) / divisor
            for index in row * columns..<(row + 1) * columns { result.weight[index] = layer.weight[index] / divisor }
        }
        return result
    }
}
