public import Tensors
import VisionTransformers

extension Adapter.LowRank {
    /// scale · B·A with the rows of the base weight, in double precision.
    func product() -> [Double] {
        let (rank, rows) = (a.shape[0], b.shape[0])
        let columns = a.count / max(rank, 1)
        var product = [Double](repeating: 0, count: rows * columns)
        a.values.withUnsafeBufferPointer { a in
            product.withUnsafeMutableBufferPointer { product in
                for row in 0..<rows {
                    for inner in 0..<rank {
                        let factor = scale * Double(b.values[row * rank + inner])
                        if factor == 0 { continue }
                        for column in 0..<columns {
                            product[row * columns + column] += factor * Double(a[inner * columns + column])
                        }
                    }
                }
            }
        }
        return product
    }

    /// What the update adds to a weight.
    ///
    /// LoRA adds scale · B·A. DoRA's weight is m · (W₀ + scale · B·A) / ‖W₀ + scale · B·A‖ with the norm of each output's
    /// row, so its delta is that minus W₀.
    func delta(on weight: [Float]) -> [Double] {
        var delta = product()
        guard let magnitude else { return delta }
        let columns = weight.count / magnitude.count
        for row in magnitude.indices {
            let range = row * columns..<(row + 1) * columns
            var squares = 0.0
            for index in range {
                let value = Double(weight[index]) + delta[index]
                squares += value * value
            }
            let factor = squares > 0 ? Double(magnitude[row]) / squares.squareRoot() : 0
            for index in range {
                let value = Double(weight[index])
                delta[index] = (value + delta[index]) * factor - value
            }
        }
        return delta
    }

    /// A weight with the update added.
    func applied(to weight: Tensor) -> Tensor {
        let delta = delta(on: weight.values)
        return Tensor(shape: weight.shape, values: zip(weight.values, delta).map { Float(Double($0) + $1) })
    }
}

extension Adapter {
    /// What this adapter adds to a parameter of the base, or nil when it leaves it as it is.
    ///
    /// - Parameters:
    ///   - parameter: the canonical name.
    ///   - base: the parameter's value in the base.
    public func delta(_ parameter: String, on base: Tensor) -> [Double]? {
        var delta: [Double]?
        if let whole = replaced[parameter] {
            delta = zip(whole.values, base.values).map { Double($0) - Double($1) }
        }
        func add(_ other: [Double]) { delta = delta.map { zip($0, other).map(+) } ?? other }
        if parameter.hasSuffix(".weight"), let update = updates[String(parameter.dropLast(".weight".count))] {
            add(update.delta(on: base.values))
        } else if parameter.hasSuffix(".bias"), let update = updates[String(parameter.dropLast(".bias".count))],
            let bias = update.biasB
        {
            add(bias.map { update.scale * Double($0) })
        }
        return delta
    }
}
