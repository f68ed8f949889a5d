import Adapters
import Compute
import Tensors

/// Changes drawn at random, for merge methods.
enum RandomChanges {
    /// The shapes of the parameters: two matrices, a convolution, a vector.
    static let shapes = ["p": [20, 14], "q": [12, 30], "c": [10, 3, 2, 2], "b": [9]]

    /// A matrix of normally distributed numbers.
    static func matrix(_ rows: Int, _ columns: Int, _ generator: inout SplitMix64) -> Matrix {
        Matrix(rows: rows, columns: columns, values: (0..<rows * columns).map { _ in generator.nextNormal() })
    }

    /// A task with a low-rank change of each parameter, the vector's dense.
    static func task(_ name: String, rank: Int, weight: Double = 1, seed: UInt64, without: String? = nil) -> TaskChanges
    {
        var generator = SplitMix64(state: seed)
        var changes: [String: Change] = [:]
        for (name, shape) in shapes.sorted(by: { $0.key < $1.key }) where name != without {
            let (rows, columns) = (shape[0], shape.dropFirst().reduce(1, *))
            if shape.count == 1 {
                changes[name] = Change(shape: shape, .dense(matrix(rows, 1, &generator)))
            } else {
                let b = matrix(rows, rank, &generator)
                changes[name] = Change(
                    shape: shape, .lowRank(b: b, a: matrix(rank, columns, &generator), scale: 0.5))
            }
        }
        return TaskChanges(task: name, weight: weight, changes: changes)
    }

    /// Three tasks of rank 3.
    static func three() -> [TaskChanges] {
        (1...3).map { task("t\($0)", rank: 3, weight: [1, 0.7, 1.3][$0 - 1], seed: UInt64($0)) }
    }
}

extension TaskChanges {
    /// The same changes under another name or weight.
    func renamed(_ name: String? = nil, weight: Double? = nil) -> TaskChanges {
        TaskChanges(task: name ?? task, weight: weight ?? self.weight, changes: changes)
    }

    /// The changes with their elements changed.
    func mapped(_ body: (Change) -> Change) -> TaskChanges {
        TaskChanges(task: task, weight: weight, changes: changes.mapValues(body))
    }
}

extension MergeMethod {
    /// Merges with some parameters set.
    func merged(_ tasks: [TaskChanges], _ values: [String: Double] = [:], seed: UInt64 = 0) throws -> [String: Change] {
        try merge(tasks, try MergeSettings(values, for: self, seed: seed))
    }

    /// The parameters at which nothing is trimmed, dropped or cut.
    var lossless: [String: Double] {
        parameters.contains { $0.name == "density" } ? ["density": 1] : [:]
    }
}

/// How far two merges are apart, relative to the first.
func relativeDistance(_ a: [String: Change], _ b: [String: Change]) -> Double {
    guard a.keys == b.keys else { return .infinity }
    var (difference, size) = (0.0, 0.0)
    for (name, change) in a {
        guard let other = b[name], other.shape == change.shape else { return .infinity }
        let matrix = change.dense
        let distance = (matrix - other.dense).norm
        difference += distance * distance
        size += matrix.norm * matrix.norm
    }
    return size > 0 ? (difference / size).squareRoot() : difference.squareRoot()
}
