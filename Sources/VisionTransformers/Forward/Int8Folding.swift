import Compute
import Tensors

/// What each channel of a layer's inputs is shifted and divided by before it is rounded to eight bits, so that the steps of a row
/// fit all its channels. Both are folded into what comes before and into the layers that read: nothing but rounding changes.
///
/// The shift is the channel's mean, which in a Vision Transformer's residual stream may be many times its deviation. The divisor
/// shares large deviations with large weights: the root of deviation over weight, as in SmoothQuant (Xiao et al., 2023).
struct Int8Folding {
    /// For each channel.
    let shift, divisor: [Float]

    /// From measured activations.
    ///
    /// - Parameters:
    ///   - statistics: of the channels.
    ///   - readers: the layers that read them.
    init(_ statistics: ActivationStatistics.Channels, readers: [PlanLoader.Plain]) {
        let channels = statistics.mean.count
        var largest = [Float](repeating: 0, count: channels)
        for reader in readers {
            for row in 0..<reader.bias.count {
                for channel in 0..<channels {
                    largest[channel] = max(largest[channel], abs(reader.weight[row * channels + channel]))
                }
            }
        }
        shift = statistics.mean
        // A channel that hardly changes may still change in other images.
        let least = Self.mean(statistics.deviation) * 1e-2
        let leastWeight = Self.mean(largest) * 1e-2
        divisor = zip(statistics.deviation, largest).map { deviation, weight in
            let (deviation, weight) = (max(deviation, least), max(weight, leastWeight))
            return weight > 0 && deviation > 0 ? (deviation / weight).squareRoot() : 1
        }
    }

    /// From a layer normalization alone, whose shift and scale stand for the channels' means and deviations.
    init(_ norm: ForwardPlan.Norm) {
        shift = Array(norm.shift.elements)
        divisor = norm.scale.elements.map { $0 == 0 ? 1 : abs($0).squareRoot() }
    }

    private static func mean(_ values: [Float]) -> Float { values.reduce(0, +) / Float(max(values.count, 1)) }

    /// A normalization that gives shifted and divided channels.
    func folded(_ norm: ForwardPlan.Norm) -> ForwardPlan.Norm {
        let channels = shift.indices
        return ForwardPlan.Norm(
            scale: FloatBuffer(channels.map { norm.scale.elements[$0] / divisor[$0] }),
            shift: FloatBuffer(channels.map { (norm.shift.elements[$0] - shift[$0]) / divisor[$0] }))
    }

    /// A layer that reads shifted and divided channels.
    func folded(reader layer: PlanLoader.Plain) -> PlanLoader.Plain {
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
    func folded(writer layer: PlanLoader.Plain) -> PlanLoader.Plain {
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
