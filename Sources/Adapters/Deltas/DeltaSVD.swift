import Compute
import VisionTransformers

/// A delta as u · diag(values) · vt, cut to its numerical rank: its subspaces and best approximations follow from it.
struct DeltaSVD {
    /// An orthonormal basis of the column space, (rows, r).
    let u: Matrix
    /// The singular values, descending; r of them, none of which is only rounding.
    let values: [Double]
    /// An orthonormal basis of the row space as rows, (r, columns).
    let vt: Matrix
    /// The Frobenius norm.
    let norm: Double

    /// Decomposes a delta: by QR of the factors and a decomposition of the core between them, which is as small as the
    /// rank; a dense delta, or one with more factors than the matrix has rows or columns, as the whole matrix.
    ///
    /// - Throws: `ModelError` naming the parameter when values are not finite; `ComputeError` of LAPACK.
    init(_ delta: WeightDelta, of parameter: String) throws {
        guard delta.isFinite else { throw ModelError(parameter, "values that are not finite numbers") }
        let svd: Matrix.SingularValues
        if case .lowRank(let b, let a, let scale) = delta.storage, a.rows <= min(delta.rows, delta.columns) {
            let left = try (scale * b).qrDecomposition()
            let right = try a.transposed.qrDecomposition()
            let core = try Matrix.product(left.r, transposed: false, right.r, transposed: true)
                .singularValueDecomposition()
            let rank = core.numericalRank()
            u = left.q * core.u.firstColumns(rank)
            vt = Matrix.product(core.vt.firstRows(rank), transposed: false, right.q, transposed: true)
            svd = core
        } else {
            svd = try delta.dense.singularValueDecomposition()
            let rank = svd.numericalRank()
            u = svd.u.firstColumns(rank)
            vt = svd.vt.firstRows(rank)
        }
        values = Array(svd.values.prefix(u.columns))
        norm = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
    }

    /// The best approximation of a rank as b · a with the singular values shared out evenly, and the part of ‖ΔW‖² that
    /// is lost.
    func cut(to rank: Int) -> (b: Matrix, a: Matrix, lost: Double) {
        let count = min(rank, values.count)
        let roots = Matrix.diagonal(values.prefix(count).map { $0.squareRoot() })
        return (
            u.firstColumns(count) * roots, roots * vt.firstRows(count),
            values.dropFirst(count).reduce(0) { $0 + $1 * $1 }
        )
    }
}
