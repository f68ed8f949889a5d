package import Compute

/// What one task, or a merge, changes in one parameter.
package struct WeightDelta: Sendable {
    /// How the change is known.
    package enum Storage: Sendable {
        /// scale · b · a with b (rows, r) and a (r, columns): a LoRA update as it was trained.
        case lowRank(b: Matrix, a: Matrix, scale: Double)
        /// Every element.
        case dense(Matrix)
    }

    /// The parameter's shape.
    package let shape: [Int]
    /// How the change is known.
    package let storage: Storage

    /// A change of a parameter of the given shape.
    package init(shape: [Int], _ storage: Storage) {
        self.shape = shape
        self.storage = storage
    }

    /// Whether the parameter is a vector (a bias, a scale), for which matrix methods take the weighted sum.
    package var isVector: Bool { shape.count < 2 }

    /// Outputs of the layer: the first extent.
    package var rows: Int { shape.first ?? 1 }

    /// Inputs of the layer: all other extents.
    package var columns: Int { shape.dropFirst().reduce(1, *) }

    /// Every element as (rows, columns).
    package var dense: Matrix {
        switch storage {
        case .lowRank(let b, let a, let scale): scale * (b * a)
        case .dense(let matrix): matrix
        }
    }

    /// The change times a factor.
    package func scaled(by factor: Double) -> WeightDelta {
        switch storage {
        case .lowRank(let b, let a, let scale): WeightDelta(shape: shape, .lowRank(b: b, a: a, scale: scale * factor))
        case .dense(let matrix): WeightDelta(shape: shape, .dense(factor * matrix))
        }
    }

    /// Factors with b · a equal to the change, the scale folded into b; a dense change is cut to its numerical rank.
    ///
    /// - Throws: `ComputeError` when a dense change has values that are not finite.
    package func factors() throws -> (b: Matrix, a: Matrix) {
        switch storage {
        case .lowRank(let b, let a, let scale): return (scale * b, a)
        case .dense(let matrix):
            let svd = try matrix.singularValueDecomposition()
            let rank = svd.numericalRank()
            return (svd.u.firstColumns(rank) * .diagonal(Array(svd.values[..<rank])), svd.vt.firstRows(rank))
        }
    }
}

/// Everything that one task changes, and how much of it is wanted.
package struct TaskVector: Sendable {
    /// The task's name.
    package let task: String
    /// Its weight in the merge.
    package let weight: Double
    /// By the canonical name of the parameter.
    package let deltas: [String: WeightDelta]
    /// Σ xᵀx / n of what a module reads on the task's images, by module; empty unless a method wants it.
    package let inputMoments: [String: Matrix]

    /// A task's changes with their weight.
    package init(
        task: String, weight: Double, deltas: [String: WeightDelta], inputMoments: [String: Matrix] = [:]
    ) {
        self.inputMoments = inputMoments
        self.task = task
        self.weight = weight
        self.deltas = deltas
    }
}
