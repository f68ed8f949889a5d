internal import CLAPACK
import Tensors

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
    /// Memory for y - x of one batch of rows, and for their products.
    private var difference = FloatBuffer(count: 0)
    private let product: FloatBuffer

    /// Moments of nothing yet.
    package init(size: Int) {
        self.size = size
        inputs = [Double](repeating: 0, count: size)
        residuals = inputs
        squares = [Double](repeating: 0, count: size * size)
        cross = squares
        product = FloatBuffer(count: size * size)
    }

    /// Adds dense rows of `size` elements.
    package func add(_ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, rows count: Int) {
        if difference.count < count * size { difference = FloatBuffer(count: count * size) }
        for index in 0..<count * size { difference.base[index] = y[index] - x[index] }
        inputs.addRows(x, count: count)
        residuals.addRows(difference.base, count: count)
        mv_sgram(Int64(count), Int64(size), x, product.base)
        squares.addRows(product.base, count: 1)
        mv_scross(Int64(count), Int64(size), Int64(size), x, difference.base, product.base)
        cross.addRows(product.base, count: 1)
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

extension [Double] {
    /// Adds rows of as many numbers to these.
    ///
    /// In unchecked memory: an array that is a property is checked for other owners at every element.
    mutating func addRows(_ values: UnsafePointer<Float>, count rows: Int) {
        withUnsafeMutableBufferPointer { sums in
            guard let sum = sums.baseAddress else { return }
            for row in 0..<rows {
                let values = values + row * sums.count
                for column in 0..<sums.count { sum[column] += Double(values[column]) }
            }
        }
    }
}
