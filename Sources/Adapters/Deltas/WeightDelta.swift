package import Compute
import VisionTransformers

/// What one task, or a merge, adds to one parameter of the backbone: ΔW.
package struct WeightDelta: Sendable {
    /// How the delta is known.
    package enum Storage: Sendable {
        /// scale · b · a with b (rows, r) and a (r, columns): a LoRA update as it was trained.
        case lowRank(b: Matrix, a: Matrix, scale: Double)
        /// Every element.
        case dense(Matrix)
    }

    /// The parameter's shape.
    package let shape: [Int]
    /// How the delta is known.
    package let storage: Storage

    /// A delta of a parameter of the given shape.
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

    /// The delta times a factor.
    package func scaled(by factor: Double) -> WeightDelta {
        switch storage {
        case .lowRank(let b, let a, let scale): WeightDelta(shape: shape, .lowRank(b: b, a: a, scale: scale * factor))
        case .dense(let matrix): WeightDelta(shape: shape, .dense(factor * matrix))
        }
    }

    /// Factors with b · a equal to the delta, the scale folded into b; a dense delta is cut to its numerical rank.
    ///
    /// - Throws: `ComputeError` when a dense delta has values that are not finite.
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

extension WeightDelta {
    /// Whether it is a matrix of more than one row and column.
    var isMatrix: Bool { !isVector && rows > 1 && columns > 1 }

    /// Whether it changes nothing.
    var isZero: Bool { squaredNorm == 0 }

    /// ‖ΔW‖²: Σ (BᵀB) ∘ (AAᵀ) for factors, without the product of them.
    var squaredNorm: Double {
        switch storage {
        case .dense(let matrix): return matrix.norm * matrix.norm
        case .lowRank(let b, let a, let scale):
            let left = Matrix.product(b, transposed: true, b, transposed: false)
            let right = Matrix.product(a, transposed: false, a, transposed: true)
            return max(0, scale * scale * zip(left.values, right.values).reduce(0) { $0 + $1.0 * $1.1 })
        }
    }

    /// Whether all its numbers are finite.
    var isFinite: Bool {
        switch storage {
        case .lowRank(let b, let a, let scale):
            scale.isFinite && b.values.allSatisfy(\.isFinite) && a.values.allSatisfy(\.isFinite)
        case .dense(let matrix): matrix.values.allSatisfy(\.isFinite)
        }
    }
}

/// The deltas of all parameters that one task changes, with the task's weight in a merge.
package struct TaskVector: Sendable {
    /// The task's name.
    package let task: String
    /// Its weight in the merge.
    package let weight: Double
    /// By the canonical name of the parameter.
    package let deltas: [String: WeightDelta]
    /// Σ xᵀx / n of a module's inputs on the task's images, by module; empty unless the method uses images.
    package let inputMoments: [String: Matrix]

    /// A task's deltas with their weight.
    package init(
        task: String, weight: Double, deltas: [String: WeightDelta], inputMoments: [String: Matrix] = [:]
    ) {
        self.inputMoments = inputMoments
        self.task = task
        self.weight = weight
        self.deltas = deltas
    }
}

extension ParameterNames {
    /// Whether a parameter comes before another in the network; those outside the layers come first.
    static func isBefore(_ a: String, _ b: String) -> Bool { (layer(of: a) ?? -1, a) < (layer(of: b) ?? -1, b) }
}
