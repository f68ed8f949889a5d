import Compute
import Tensors
import VisionTransformers

/// Fits a token map: the affine map from the patch tokens that all tasks share to those of a task's single adapter, in
/// closed form.
///
/// With x a shared token and y the single adapter's at the same position, both after the first normalization of a
/// block, it is the ridge regression argmin Σ ‖y - x - Sᵀ(x - x̄) - c‖² + λ ‖S‖². λ is the one whose errors are the
/// smallest on images that were held out, in the metric of what a stream makes of tokens: their keys and values. Then
/// S is replaced by the matrix of lower rank that changes the least in the same metric.
struct TokenMapFit {
    /// The ridges that are tried, as shares of the mean variance of the shared tokens.
    static let ridges = [1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1, 10]

    /// A map.
    struct Result {
        let map: TokenMap
        /// The ridge that was chosen, or nil where no map is better than none.
        let ridge: Double?
    }

    /// The metric of errors of tokens: WₖᵀWₖ / ‖Wₖ‖² + WᵥᵀWᵥ / ‖Wᵥ‖², scaled to a mean diagonal of 1.
    private let metric: Matrix
    private let width: Int

    /// - Parameters:
    ///   - key: the task's key weights in the block, (D, D).
    ///   - value: its value weights.
    init(key: Tensor, value: Tensor) {
        width = key.shape[1]
        let parts = [key, value].map { weight in
            let matrix = Matrix(rows: weight.shape[0], columns: weight.shape[1], values: weight.values.map(Double.init))
            let product = Matrix.product(matrix, transposed: true, matrix)
            return (1 / max(product.trace, 1e-300)) * product
        }
        var metric = Double(width) / 2 * (parts[0] + parts[1])
        // A little of the plain distance, so that the metric can be inverted.
        for index in 0..<width { metric[index, index] += 1e-6 }
        self.metric = metric
    }

    /// Fits a map.
    ///
    /// - Parameters:
    ///   - fitted: the moments of the images that are fitted.
    ///   - heldOut: those of the images that were held out.
    ///   - rank: the rank of the map.
    func map(_ fitted: RegressionMoments.Summary, _ heldOut: RegressionMoments.Summary, rank: Int) throws -> Result {
        let none = squared(heldOut.residual)
        var best: (ridge: Double, error: Double)?
        for ridge in Self.ridges {
            let error = error(try solve(fitted, ridge: ridge), fitted, on: heldOut)
            if error < best?.error ?? .infinity { best = (ridge, error) }
        }
        guard let best, best.error < none else { return Result(map: .identity(width: width), ridge: nil) }
        let all = fitted + heldOut
        let change = try cut(try solve(all, ridge: best.ridge), all, rank: rank)
        let shift = zip(all.residual, Matrix.product(.row(all.input), change.slope).values).map { Float($0 - $1) }
        return Result(map: TokenMap(change.low, shift: shift), ridge: best.ridge)
    }

    /// S as (inputs, outputs).
    private func solve(_ moments: RegressionMoments.Summary, ridge: Double) throws -> Matrix {
        var regular = moments.covariance
        let mean = max(regular.trace / Double(width), 1e-12)
        for index in 0..<width { regular[index, index] += ridge * mean }
        return try regular.solvePositiveDefinite(moments.cross)
    }

    /// E‖y - x - Sᵀ(x - x̄) - c‖² on other images, in the metric, less what no map changes.
    private func error(
        _ slope: Matrix, _ fitted: RegressionMoments.Summary, on heldOut: RegressionMoments.Summary
    ) -> Double {
        let weighted = slope * metric
        let quadratic = (heldOut.covariance * slope).dot(weighted)
        let linear = heldOut.cross.dot(weighted)
        let moved = Matrix.product(.row(zip(heldOut.input, fitted.input).map { $0 - $1 }), slope).values
        let offset = heldOut.residual.indices.map { heldOut.residual[$0] - fitted.residual[$0] - moved[$0] }
        return quadratic - 2 * linear + squared(offset)
    }

    /// ‖v‖² in the metric.
    private func squared(_ vector: [Double]) -> Double {
        let row = Matrix.row(vector)
        return (row * metric).dot(row)
    }

    /// The matrix of lower rank that changes tokens the least from what S does, in the metric.
    ///
    /// With G = RᵀR the metric and C the covariance, it is S Rᵀ V · (G⁻¹ Rᵀ V)ᵀ, where V are the leading eigenvectors
    /// of R SᵀC S Rᵀ.
    private func cut(
        _ slope: Matrix, _ moments: RegressionMoments.Summary, rank: Int
    ) throws -> (low: LowRankChange, slope: Matrix) {
        let root = try metric.choleskyFactor()
        let projected = Matrix.product(slope, transposed: false, root, transposed: true)
        let spread = Matrix.product(projected, transposed: true, moments.covariance * projected)
        let vectors = try spread.leadingEigenvectors(min(rank, width))
        let down = Matrix.product(projected, transposed: false, vectors, transposed: true)
        let up = try metric.solvePositiveDefinite(
            .product(root, transposed: true, vectors, transposed: true))
        func tensor(_ matrix: Matrix) -> Tensor {
            Tensor(shape: [matrix.rows, matrix.columns], values: matrix.values.map { Float($0) })
        }
        return (
            LowRankChange(down: tensor(down.transposed), up: tensor(up)),
            Matrix.product(down, transposed: false, up, transposed: true)
        )
    }
}

extension Matrix {
    fileprivate static func row(_ values: [Double]) -> Matrix { Matrix(rows: 1, columns: values.count, values: values) }

    /// The sum of the products of corresponding elements.
    fileprivate func dot(_ other: Matrix) -> Double { zip(values, other.values).reduce(0) { $0 + $1.0 * $1.1 } }

    /// The sum of the diagonal.
    fileprivate var trace: Double { (0..<min(rows, columns)).reduce(0) { $0 + self[$1, $1] } }
}
