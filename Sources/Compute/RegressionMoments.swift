internal import CLAPACK

/// First and second moments of rows x with targets y, of which a linear regression of y on x is made: each batch of
/// rows is multiplied in single precision, batches are summed in double. What is summed beside x is y - x, which is
/// small where the two are nearly the same. Belongs to one thread at a time.
package final class RegressionMoments {
    /// The number of columns of x and of y.
    package let size: Int
    /// How many rows have been added.
    package private(set) var rows = 0
    private var inputs: [Double]
    private var residuals: [Double]
    /// Σ xᵀx and Σ xᵀ(y - x).
    private var squares: [Double]
    private var cross: [Double]
    private var product: [Float]

    /// Moments of nothing yet.
    package init(size: Int) {
        self.size = size
        inputs = [Double](repeating: 0, count: size)
        residuals = inputs
        squares = [Double](repeating: 0, count: size * size)
        cross = squares
        product = [Float](repeating: 0, count: size * size)
    }

    /// Adds dense rows of `size` elements.
    package func add(_ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, rows count: Int) {
        var difference = [Float](repeating: 0, count: count * size)
        for row in 0..<count {
            for column in 0..<size {
                let index = row * size + column
                difference[index] = y[index] - x[index]
                inputs[column] += Double(x[index])
                residuals[column] += Double(difference[index])
            }
        }
        mv_sgram(Int64(count), Int64(size), x, &product)
        for index in product.indices { squares[index] += Double(product[index]) }
        mv_scross(Int64(count), Int64(size), Int64(size), x, difference, &product)
        for index in product.indices { cross[index] += Double(product[index]) }
        rows += count
    }

    /// The moments as they are so far.
    package var summary: Summary {
        let n = Double(max(rows, 1))
        let (x, r) = (inputs.map { $0 / n }, residuals.map { $0 / n })
        var (covariance, between) = (Matrix(rows: size, columns: size), Matrix(rows: size, columns: size))
        for row in 0..<size {
            for column in 0..<size {
                let index = row * size + column
                covariance.values[index] = squares[index] / n - x[row] * x[column]
                between.values[index] = cross[index] / n - x[row] * r[column]
            }
        }
        return Summary(rows: rows, input: x, residual: r, covariance: covariance, cross: between)
    }

    /// Means and covariances.
    package struct Summary: Sendable {
        package let rows: Int
        /// The means of x and of y - x.
        package let input, residual: [Double]
        /// The covariance of x, and of x with y - x.
        package let covariance, cross: Matrix

        /// The moments of both sets of rows together.
        package static func + (a: Summary, b: Summary) -> Summary {
            let rows = a.rows + b.rows
            let (p, q) = (Double(a.rows) / Double(max(rows, 1)), Double(b.rows) / Double(max(rows, 1)))
            let size = a.input.count
            func mean(_ a: [Double], _ b: [Double]) -> [Double] { zip(a, b).map { p * $0 + q * $1 } }
            var (covariance, cross) = (p * a.covariance + q * b.covariance, p * a.cross + q * b.cross)
            let dx = zip(a.input, b.input).map { $0 - $1 }
            let dr = zip(a.residual, b.residual).map { $0 - $1 }
            for row in 0..<size {
                for column in 0..<size {
                    covariance.values[row * size + column] += p * q * dx[row] * dx[column]
                    cross.values[row * size + column] += p * q * dx[row] * dr[column]
                }
            }
            return Summary(
                rows: rows, input: mean(a.input, b.input), residual: mean(a.residual, b.residual),
                covariance: covariance, cross: cross)
        }
    }
}
