import Compute
package import Tensors
import VisionTransformers

extension Adapter.LowRank {
    /// The update's factors, b (outputs, r) and a (r, inputs).
    private var factors: (b: Matrix, a: Matrix) {
        let rank = a.shape[0]
        return (
            Matrix(rows: b.shape[0], columns: rank, values: b.values.map(Double.init)),
            Matrix(rows: rank, columns: a.count / max(rank, 1), values: a.values.map(Double.init))
        )
    }

    /// What the update adds to a weight.
    ///
    /// LoRA adds scale · B·A, less what was taken out of W₀ before training. With ΔV for that, DoRA's weight is
    /// m · (W₀ + ΔV) / ‖W₀ + ΔV‖ with the norm of each output's row, so its change is that minus W₀.
    func delta(of weight: Tensor) -> WeightDelta {
        let (b, a) = factors
        guard let magnitude else {
            guard let taken else { return WeightDelta(shape: weight.shape, .lowRank(b: b, a: a, scale: scale)) }
            // Of rank 2r, and still known by its factors.
            return WeightDelta(
                shape: weight.shape,
                .lowRank(b: .side(bySide: [scale * b, -1 * taken.b]), a: .stacked([a, taken.a]), scale: 1))
        }
        var delta = scale * (b * a)
        if let taken { delta = delta - taken.b * taken.a }
        for row in magnitude.indices {
            let range = row * delta.columns..<(row + 1) * delta.columns
            var squares = 0.0
            for index in range {
                let value = Double(weight.values[index]) + delta.values[index]
                squares += value * value
            }
            let factor = squares > 0 ? Double(magnitude[row]) / squares.squareRoot() : 0
            for index in range {
                let value = Double(weight.values[index])
                delta.values[index] = (value + delta.values[index]) * factor - value
            }
        }
        return WeightDelta(shape: weight.shape, .dense(delta))
    }

    /// A weight with the update added.
    func applied(to weight: Tensor) -> Tensor { weight.adding(delta(of: weight)) }
}

extension Adapter {
    /// What this adapter changes in a parameter of the base, or nil when it leaves it as it is.
    ///
    /// - Parameters:
    ///   - parameter: the canonical name.
    ///   - base: the parameter's value in the base.
    package func delta(_ parameter: String, of base: Tensor) -> WeightDelta? {
        func column(_ values: [Double]) -> WeightDelta {
            let shape = base.shape
            let rows = shape.first ?? 1
            return WeightDelta(
                shape: shape, .dense(Matrix(rows: rows, columns: values.count / max(rows, 1), values: values)))
        }
        var deltas: [WeightDelta] = []
        if let whole = replaced[parameter] {
            deltas.append(column(zip(whole.values, base.values).map { Double($0) - Double($1) }))
        }
        if parameter.hasSuffix(".weight"), let update = updates[String(parameter.dropLast(".weight".count))] {
            deltas.append(update.delta(of: base))
        } else if parameter.hasSuffix(".bias"), let update = updates[String(parameter.dropLast(".bias".count))],
            let bias = update.biasB
        {
            deltas.append(column(bias.map { update.scale * Double($0) }))
        }
        guard let first = deltas.first else { return nil }
        return deltas.count == 1 ? first : column(zip(first.dense.values, deltas[1].dense.values).map(+))
    }

    /// Everything that this adapter changes in a base.
    ///
    /// - Throws: `ModelError` or `FileError` when the base cannot be read.
    func deltas(
        of base: Checkpoint, weight: Double, inputMoments: [String: Matrix] = [:]
    ) throws -> TaskVector {
        var deltas: [String: WeightDelta] = [:]
        for name in changedParameters { deltas[name] = delta(name, of: try base.parameter(name)) }
        return TaskVector(task: task, weight: weight, deltas: deltas, inputMoments: inputMoments)
    }
}

extension Tensor {
    /// The tensor with a change added: in double precision, rounded once.
    func adding(_ delta: WeightDelta) -> Tensor {
        Tensor(shape: shape, values: zip(values, delta.dense.values).map { Float(Double($0) + $1) })
    }
}
