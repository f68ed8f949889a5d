import Compute

/// The changes of one parameter in the coordinates of the subspaces that they span: ΔW_t = u · slices[t] · v, without loss.
///
/// Panariello et al., Accurate and Efficient Low-Rank Model Merging in Core Space, NeurIPS 2025. The bases are cut to
/// their numerical rank, for a direction that holds nothing but rounding would be as good as any other: methods that give
/// it weight, as isotropic ones do, would then answer with noise.
struct CoreSpace {
    /// A direction is kept when its singular value is above this share of the largest: more than the rounding of weights
    /// in single precision, which makes a copy of an adapter count as a copy.
    static let tolerance = 1e-7

    /// An orthonormal basis of the outputs' side, as columns.
    let u: Matrix
    /// An orthonormal basis of the inputs' side, as rows.
    let v: Matrix
    /// Each task's change in these bases.
    let slices: [Matrix]

    /// The bases of the changes and the changes in them.
    ///
    /// - Throws: `ComputeError` for values that are not finite.
    init(_ deltas: [WeightDelta]) throws {
        let factors = try deltas.map { try $0.factors() }
        let left = try Matrix.side(bySide: factors.map(\.b)).columnSpace()
        let right = try Matrix.stacked(factors.map(\.a)).transposed.columnSpace()
        var slices: [Matrix] = []
        var start = 0
        for (b, _) in factors {
            let range = start..<start + b.columns
            slices.append(
                .product(
                    left.coordinates[columns: range], transposed: false, right.coordinates[columns: range],
                    transposed: true))
            start += b.columns
        }
        (u, v, self.slices) = (left.basis, right.basis.transposed, slices)
    }

    /// The change with this core, in factors.
    func delta(_ core: Matrix, factor: Double) -> WeightDelta.Storage { .lowRank(b: u * core, a: v, scale: factor) }
}

extension Matrix {
    /// Left singular vectors as an orthonormal basis of the columns, and the columns' coordinates in it: self = basis ·
    /// coordinates, up to the tolerance.
    func columnSpace() throws(ComputeError) -> (basis: Matrix, coordinates: Matrix) {
        var (q, small) = (Matrix?.none, self)
        if rows > columns {
            let (orthonormal, triangle) = try qrDecomposition()
            (q, small) = (orthonormal, triangle)
        }
        let svd = try small.singularValueDecomposition()
        let rank = svd.numericalRank(tolerance: CoreSpace.tolerance)
        let vectors = svd.u.firstColumns(rank)
        return (q.map { $0 * vectors } ?? vectors, .product(vectors, transposed: true, small))
    }

    /// Some of the columns.
    subscript(columns range: Range<Int>) -> Matrix {
        Matrix(
            rows: rows, columns: range.count,
            values: (0..<rows).flatMap { values[$0 * columns + range.lowerBound..<$0 * columns + range.upperBound] })
    }

    /// The nearest matrix with orthonormal columns or rows (Procrustes): P · Qᵀ of the thin P · D · Qᵀ, cut to its
    /// numerical rank.
    func orthogonalized() throws(ComputeError) -> Matrix {
        let svd = try singularValueDecomposition()
        let rank = svd.numericalRank(tolerance: CoreSpace.tolerance)
        return svd.u.firstColumns(rank) * svd.vt.firstRows(rank)
    }

    /// The matrix with all singular values that are not rounding replaced by the mean over all of them.
    func isotropic() throws(ComputeError) -> Matrix {
        let svd = try singularValueDecomposition()
        let mean = svd.values.reduce(0, +) / Double(max(svd.values.count, 1))
        let rank = svd.numericalRank(tolerance: CoreSpace.tolerance)
        return mean * (svd.u.firstColumns(rank) * svd.vt.firstRows(rank))
    }
}
