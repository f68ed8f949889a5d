import Compute
import VisionTransformers

/// A change as u · diag(values) · vt, cut to its numerical rank: what its subspaces and its best approximations are read
/// from.
struct DeltaSVD {
    /// An orthonormal basis of the column space, (rows, r).
    let u: Matrix
    /// The singular values, descending; r of them, none of which is only rounding.
    let values: [Double]
    /// An orthonormal basis of the row space as rows, (r, columns).
    let vt: Matrix
    /// The Frobenius norm.
    let norm: Double

    /// Decomposes a change: by QR of the factors and a decomposition of the core between them, which is as small as the
    /// rank; a dense change, or one with more factors than the matrix has rows or columns, as the matrix that it is.
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

    /// How this change and another of the same parameter get in each other's way.
    func measure(_ other: DeltaSVD) -> Interference.Measure {
        let columns = Matrix.product(u, transposed: true, other.u)
        let rows = Matrix.product(vt, transposed: false, other.vt, transposed: true)
        var inner = 0.0
        for row in 0..<columns.rows {
            for column in 0..<columns.columns {
                inner += values[row] * other.values[column] * columns[row, column] * rows[row, column]
            }
        }
        let least = Double(min(values.count, other.values.count))
        func overlap(_ product: Matrix) -> Double { least > 0 ? min(1, product.norm * product.norm / least) : 0 }
        return Interference.Measure(
            normRatio: other.norm > 0 ? norm / other.norm : nil,
            cosine: least > 0 ? max(-1, min(1, inner / (norm * other.norm))) : 0,
            columnOverlap: overlap(columns), rowOverlap: overlap(rows))
    }

    /// The best approximation of a rank as b · a with the singular values shared out evenly, and the part of ‖ΔW‖² that it
    /// leaves out.
    func cut(to rank: Int) -> (b: Matrix, a: Matrix, lost: Double) {
        let kept = min(rank, values.count)
        let roots = Matrix.diagonal(values.prefix(kept).map { $0.squareRoot() })
        return (
            u.firstColumns(kept) * roots, roots * vt.firstRows(kept),
            values.dropFirst(kept).reduce(0) { $0 + $1 * $1 }
        )
    }
}

extension WeightDelta {
    /// Whether everything that it is known by is a finite number.
    var isFinite: Bool {
        switch storage {
        case .lowRank(let b, let a, let scale):
            scale.isFinite && b.values.allSatisfy(\.isFinite) && a.values.allSatisfy(\.isFinite)
        case .dense(let matrix): matrix.values.allSatisfy(\.isFinite)
        }
    }
}
