import Adapters
import Compute
import Tensors

/// Changes drawn at random, for merge methods.
enum RandomDeltas {
    /// The shapes of the parameters: two matrices, a convolution, a vector.
    static let shapes = ["p": [20, 14], "q": [12, 30], "c": [10, 3, 2, 2], "b": [9]]

    /// A matrix of normally distributed numbers.
    static func matrix(_ rows: Int, _ columns: Int, _ generator: inout SplitMix64) -> Matrix {
        Matrix(rows: rows, columns: columns, values: (0..<rows * columns).map { _ in generator.nextNormal() })
    }

    /// A task with a low-rank change of each parameter, the vector's dense.
    static func task(_ name: String, rank: Int, weight: Double = 1, seed: UInt64, without: String? = nil) -> TaskVector
    {
        var generator = SplitMix64(state: seed)
        var deltas: [String: WeightDelta] = [:]
        for (name, shape) in shapes.sorted(by: { $0.key < $1.key }) where name != without {
            let (rows, columns) = (shape[0], shape.dropFirst().reduce(1, *))
            if shape.count == 1 {
                deltas[name] = WeightDelta(shape: shape, .dense(matrix(rows, 1, &generator)))
            } else {
                let b = matrix(rows, rank, &generator)
                deltas[name] = WeightDelta(
                    shape: shape, .lowRank(b: b, a: matrix(rank, columns, &generator), scale: 0.5))
            }
        }
        return TaskVector(task: name, weight: weight, deltas: deltas)
    }

    /// Three tasks of rank 3.
    static func three() -> [TaskVector] {
        (1...3).map { task("t\($0)", rank: 3, weight: [1, 0.7, 1.3][$0 - 1], seed: UInt64($0)) }
    }
}

extension TaskVector {
    /// The same changes under another name or weight.
    func renamed(_ name: String? = nil, weight: Double? = nil) -> TaskVector {
        TaskVector(task: name ?? task, weight: weight ?? self.weight, deltas: deltas)
    }

    /// The changes with their elements changed.
    func mapped(_ body: (WeightDelta) -> WeightDelta) -> TaskVector {
        TaskVector(task: task, weight: weight, deltas: deltas.mapValues(body))
    }
}

extension MergeMethod {
    /// Merges with some parameters set.
    func merged(
        _ tasks: [TaskVector], _ values: [String: MergeParameter.Value] = [:], seed: UInt64 = 0
    ) throws -> [String: WeightDelta] {
        try ConfiguredMethod(self, values, seed: seed).merged(tasks)
    }

    /// The parameters at which nothing is trimmed, dropped or cut.
    var lossless: [String: MergeParameter.Value] {
        parameters.contains { $0.name == "density" } ? ["density": 1] : [:]
    }
}

/// How far two merges are apart, relative to the first.
func relativeDistance(_ a: [String: WeightDelta], _ b: [String: WeightDelta]) -> Double {
    guard a.keys == b.keys else { return .infinity }
    var (difference, size) = (0.0, 0.0)
    for (name, delta) in a {
        guard let other = b[name], other.shape == delta.shape else { return .infinity }
        let matrix = delta.dense
        let distance = (matrix - other.dense).norm
        difference += distance * distance
        size += matrix.norm * matrix.norm
    }
    return size > 0 ? (difference / size).squareRoot() : difference.squareRoot()
}
