internal import CLAPACK

extension Matrix {
    /// A thin singular value decomposition: the matrix is u · diag(values) · vt, values descending.
    package struct SingularValues: Sendable {
        /// The left singular vectors as columns.
        package let u: Matrix
        /// The singular values, descending.
        package let values: [Double]
        /// The right singular vectors as rows.
        package let vt: Matrix

        /// The number of singular values above rounding errors: above `tolerance` times the largest.
        package func numericalRank(tolerance: Double = 1e-10) -> Int {
            guard let largest = values.first, largest > 0 else { return 0 }
            return values.count { $0 > tolerance * largest }
        }
    }

    /// The thin singular value decomposition, min(rows, columns) values.
    ///
    /// - Throws: `ComputeError` when LAPACK does not converge, as with values that are not finite.
    package func singularValueDecomposition() throws(ComputeError) -> SingularValues {
        let rank = min(rows, columns)
        var copy = values
        var sigma = [Double](repeating: 0, count: rank)
        var u = Matrix(rows: rows, columns: rank)
        var vt = Matrix(rows: rank, columns: columns)
        let status = mv_dgesdd(Int64(rows), Int64(columns), &copy, &sigma, &u.values, &vt.values)
        guard status == 0 else {
            throw ComputeError(operation: "singular value decomposition \(rows) x \(columns)", reason: "code \(status)")
        }
        return SingularValues(u: u, values: sigma, vt: vt)
    }

    /// The thin QR decomposition of a matrix with at least as many rows as columns.
    ///
    /// - Throws: `ComputeError` when LAPACK refuses.
    package func qrDecomposition() throws(ComputeError) -> (q: Matrix, r: Matrix) {
        guard rows >= columns else {
            throw ComputeError(operation: "QR decomposition \(rows) x \(columns)", reason: "fewer rows than columns")
        }
        var q = self
        var r = Matrix(rows: columns, columns: columns)
        let status = mv_dqr(Int64(rows), Int64(columns), &q.values, &r.values)
        guard status == 0 else {
            throw ComputeError(operation: "QR decomposition \(rows) x \(columns)", reason: "code \(status)")
        }
        return (q, r)
    }

    /// Solves `self · x = right` for a symmetric positive definite matrix.
    ///
    /// - Throws: `ComputeError` when it is not positive definite.
    package func solvePositiveDefinite(_ right: Matrix) throws(ComputeError) -> Matrix {
        var factor = values
        var solution = right
        let status = mv_dposv(Int64(rows), Int64(right.columns), &factor, &solution.values)
        guard status == 0 else {
            throw ComputeError(operation: "solve \(rows) x \(rows)", reason: "not positive definite (code \(status))")
        }
        return solution
    }

    /// Cholesky's factor of a symmetric positive definite matrix: upper triangular R, `self = Rᵀ · R`.
    ///
    /// - Throws: `ComputeError` when it is not positive definite.
    package func choleskyFactor() throws(ComputeError) -> Matrix {
        var factor = self
        let status = mv_dpotrf(Int64(rows), &factor.values)
        guard status == 0 else {
            throw ComputeError(
                operation: "Cholesky decomposition \(rows) x \(rows)", reason: "not positive definite (code \(status))")
        }
        for row in 1..<max(rows, 1) {
            for column in 0..<row { factor.values[row * columns + column] = 0 }
        }
        return factor
    }

    /// The eigenvectors of the largest eigenvalues of a symmetric matrix, as rows, by descending eigenvalue.
    ///
    /// - Throws: `ComputeError` when LAPACK refuses, as with values that are not finite.
    package func leadingEigenvectors(_ count: Int) throws(ComputeError) -> Matrix {
        let count = min(count, rows)
        var copy = values
        var eigenvalues = [Double](repeating: 0, count: rows)
        var vectors = Matrix(rows: count, columns: rows)
        let status = mv_dsyevr(Int64(rows), Int64(count), &copy, &eigenvalues, &vectors.values)
        guard status == 0 else {
            throw ComputeError(operation: "eigenvectors \(rows) x \(rows)", reason: "code \(status)")
        }
        return Matrix(
            rows: count, columns: rows,
            values: (0..<count).reversed().flatMap { vectors.values[$0 * rows..<($0 + 1) * rows] })
    }
}
